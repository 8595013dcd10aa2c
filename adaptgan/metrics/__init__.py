"""Measures of realism, domain gap, task scores and label-free validators; numpy in, plain numbers out."""
