"""The built-in components, announced the same way as a third party's."""

from __future__ import annotations

from adaptgan.components import ComponentSpec
from adaptgan.hookspecs import hookimpl


def _spec(kind: str, name: str, target: str, summary: str, paper: str = "") -> ComponentSpec:
    return ComponentSpec(kind, name, f"adaptgan.{target}", summary, paper)


COMPONENTS = (
    _spec("dataset", "rendered_digits", "data.sources.rendered:RenderedDigits", "digits drawn with fonts, labelled"),
    _spec("dataset", "handwriting", "data.sources.handwriting:Handwriting", "5,000 real MNIST digits", "LeCun 1998"),
    _spec("dataset", "uci_digits", "data.sources.uci_digits:UCIDigits", "1,797 real digits, 8×8", "Alpaydin 1998"),
    _spec("dataset", "mnist_m", "data.sources.mnist_m:MnistM", "handwriting over photographs", "Ganin 2016"),
    _spec("dataset", "image_folder", "data.sources.folder:ImageFolder", "a folder of images, in class folders or flat"),
    _spec("dataset", "torchvision", "data.sources.torchvision:Torchvision", "any torchvision data set class, by name"),
    _spec("dataset", "shards", "data.sources.shards:Shards", "a folder of shards, ours or WebDataset's"),
    _spec("exporter", "image_folder", "data.exports.folder:ImageFolderExporter", "class folders with metadata.jsonl"),
    _spec("exporter", "parquet", "data.exports.parquet:ParquetExporter", "Parquet with an Image struct"),
    _spec("exporter", "coco", "data.exports.coco:CocoExporter", "COCO annotations"),
    _spec(
        "network",
        "simgan_refiner",
        "networks.refiner:SimGANRefiner",
        "fully convolutional residual refiner",
        "Shrivastava 2017",
    ),
    _spec(
        "network",
        "patch_discriminator",
        "networks.discriminator:PatchDiscriminator",
        "a map of logits, one per local patch",
        "Shrivastava 2017",
    ),
    _spec("network", "conv_classifier", "networks.classifier:ConvClassifier", "small convolutional classifier"),
    _spec(
        "network",
        "conv_segmenter",
        "networks.segmenter:ConvSegmenter",
        "small U-Net, a class for every pixel",
        "Ronneberger 2015",
    ),
    _spec(
        "network",
        "mlp_classifier",
        "networks.mlp:MLPClassifier",
        "permutation-invariant, weight-normalized, noisy in training",
        "Salimans 2016",
    ),
    _spec("network", "mlp_generator", "networks.mlp:MLPGenerator", "fully connected generator", "Salimans 2016"),
    _spec("network", "private_encoder", "networks.separation:PrivateEncoder", "what is one domain's", "Bousmalis 2016"),
    _spec("network", "shared_decoder", "networks.separation:SharedDecoder", "images from features", "Bousmalis 2016"),
    _spec("objective", "minimax", "objectives.adversarial:Minimax", "log(1 - D)", "Goodfellow 2014, eq. 1"),
    _spec("objective", "non_saturating", "objectives.adversarial:NonSaturating", "-log D", "Goodfellow 2014, §3"),
    _spec("objective", "least_squares", "objectives.adversarial:LeastSquares", "squared error to 0/1", "Mao 2017"),
    _spec("augmentation", "none", "data.augmentation:Identity", "no change"),
    _spec("augmentation", "warp", "data.augmentation:Warp", "affine and elastic warps, brightness, noise, blur"),
    _spec("method", "supervised", "methods.supervised:Supervised", "cross-entropy on the source labels"),
    _spec("method", "dann", "methods.dann:DANN", "gradient-reversal domain adaptation", "Ganin 2016"),
    _spec("method", "cdan", "methods.cdan:CDAN", "gradient reversal conditioned on predicted classes", "Long 2018"),
    _spec("method", "mmd", "methods.mmd:MMD", "kernel mean discrepancy of features and logits", "Long 2015"),
    _spec("method", "deep_coral", "methods.deep_coral:DeepCORAL", "equal covariances of logits", "Sun 2016"),
    _spec("method", "adda", "methods.adda:ADDA", "an adversarial encoder for the target", "Tzeng 2017"),
    _spec("method", "mcd", "methods.mcd:MCD", "two heads disagree, the features make peace", "Saito 2018"),
    _spec(
        "method",
        "self_ensembling",
        "methods.self_ensembling:SelfEnsembling",
        "mean teacher, weak/strong consistency and information maximization",
        "French 2018; Liang 2020",
    ),
    _spec("method", "dsn", "methods.dsn:DSN", "shared and private representations, rebuilt images", "Bousmalis 2016"),
    _spec("method", "vada", "methods.vada:VADA", "domain adversary, low entropy, local smoothness", "Shu 2018"),
    _spec("method", "dirt_t", "methods.dirt_t:DIRTT", "vada, then refined on the target by a teacher", "Shu 2018"),
    _spec("method", "shot", "methods.shot:SHOT", "the source's last layer kept, the rest adapted", "Liang 2020"),
    _spec("method", "pseudo_labels", "methods.pseudo_labels:PseudoLabels", "its own guesses as labels", "Lee 2013"),
    _spec(
        "method",
        "semi_supervised_gan",
        "methods.semi_supervised_gan:SemiSupervisedGAN",
        "K+1 classes and feature matching: few labels, many unlabelled images",
        "Salimans 2016",
    ),
    _spec("method", "simgan", "methods.simgan:SimGAN", "refines synthetic images, labels kept", "Shrivastava 2017"),
    _spec(
        "gate", "classifier_agreement", "data.gates:ClassifierAgreement", "a frozen classifier still reads the label"
    ),
    _spec("metric", "kid", "metrics.kid:KID", "kernel distance, unbiased", "Bińkowski 2018"),
    _spec(
        "metric",
        "a_distance",
        "metrics.a_distance:ProxyADistance",
        "2(1 - 2ε) of a domain classifier",
        "Ben-David 2007",
    ),
    _spec("validator", "source_accuracy", "metrics.validators:SourceAccuracy", "accuracy on held-out source images"),
    _spec(
        "validator",
        "information_maximization",
        "metrics.validators:InformationMaximization",
        "H(mean p) - mean H(p) on the target",
        "Musgrave 2022",
    ),
    _spec("validator", "batch_nuclear_norm", "metrics.validators:BatchNuclearNorm", "nuclear norm of p", "Cui 2020"),
    _spec("validator", "entropy", "metrics.validators:Entropy", "-mean H(p) on the target", "Morerio 2018"),
    _spec(
        "validator",
        "dev",
        "metrics.deep_embedded_validation:DeepEmbeddedValidation",
        "source risk, weighted to the target",
        "You 2019",
    ),
    _spec(
        "validator",
        "snd",
        "metrics.soft_neighborhood:SoftNeighborhoodDensity",
        "soft neighborhood density of p",
        "Saito 2021",
    ),
    _spec("validator", "class_ami", "metrics.validators:ClassAMI", "argmax against k-means clusters", "Musgrave 2022"),
)


@hookimpl
def adaptgan_register_components() -> tuple[ComponentSpec, ...]:
    """All of them; nothing is imported yet."""
    return COMPONENTS
