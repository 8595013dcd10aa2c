"""Tracking: a local journal that the stages append to, and a process of its own that replays it to MLflow.

A stage never talks to MLflow. It appends lines to `journal/<id>.jsonl` of the scratch folder (`journal`, `recorder`,
driven by the hooks in `plugin`). One low-priority process per project (`replayer`) imports MLflow, reads the journals
and writes what is new to the store (`replay`, `store`). It outlives the stages of a pipeline by some seconds, so that
its start is paid once and beside the work. A store that is down, locked or slow only makes the journals wait.
"""
