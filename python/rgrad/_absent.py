"""What 0.3 has and rgrad does not: asked for, it says so by name.

Names that exist are never looked up here, so a list may hold some that came since.
"""

import importlib
import sys
from collections.abc import Callable, Collection

#: Modules.
MODULES = """
_tensor_str _thnn _utils autograd._functions autograd.function autograd.gradcheck
autograd.profiler backends contrib cuda.comm cuda.nccl cuda.nvtx cuda.profiler cuda.sparse
distributed distributions functional jit legacy nn._functions nn.backends nn.init
nn.modules nn.parallel nn.utils onnx optim serialization sparse storage tensor utils.data
utils.dlpack utils.ffi utils.hooks utils.model_zoo utils.serialization utils.trainer
"""

#: Other names, by module.
NAMES = {
    "": """
        ByteStorage ByteTensor CharStorage CharTensor DoubleStorage DoubleTensor FatalError
        FloatStorage FloatTensor Generator HalfStorage HalfTensor IntStorage IntTensor
        LongStorage LongTensor ShortStorage ShortTensor Size Tensor __version__ abs acos add
        addbmm addcdiv addcmul addmm addmv addr arange asin atan atan2 baddbmm bernoulli bmm
        btrifact btrisolve btriunpack cat ceil chunk clamp cos cosh cross cumprod cumsum
        default_generator diag dist div dot eig eq equal erf erfinv exp eye floor fmod frac
        from_numpy gather ge gels geqrf ger gesv get_num_threads get_rng_state gt histc
        index_select initial_seed inverse is_storage is_tensor kthvalue le lerp lgamma
        linspace load log log1p logspace lt manual_seed masked_select matmul max mean median
        min mm mode mul multinomial mv ne neg nonzero norm normal numel ones ones_like orgqr
        ormqr potrf potri potrs pow prod pstrf qr rand randn randperm range reciprocal
        remainder renorm round rsqrt save set_default_tensor_type set_num_threads
        set_printoptions set_rng_state sigmoid sign sin sinh sort split sqrt squeeze stack std
        sum svd symeig t take tan tanh topk trace transpose tril triu trtrs trunc typename
        unbind unsqueeze var zeros zeros_like
    """,
    "nn": """
        AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d
        AdaptiveMaxPool2d AdaptiveMaxPool3d AlphaDropout AvgPool1d AvgPool2d AvgPool3d BCELoss
        BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d Bilinear ConstantPad1d
        ConstantPad2d ConstantPad3d Container Conv1d Conv2d Conv3d ConvTranspose1d
        ConvTranspose2d ConvTranspose3d CosineEmbeddingLoss CosineSimilarity CrossEntropyLoss
        CrossMapLRN2d DataParallel Dropout Dropout2d Dropout3d ELU Embedding EmbeddingBag
        FractionalMaxPool2d GLU GRU GRUCell Hardshrink Hardtanh HingeEmbeddingLoss
        InstanceNorm1d InstanceNorm2d InstanceNorm3d KLDivLoss L1Loss LPPool1d LPPool2d LSTM
        LSTMCell LeakyReLU Linear LogSigmoid LogSoftmax MSELoss MarginRankingLoss MaxPool1d
        MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d Module ModuleList
        MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PReLU
        PairwiseDistance Parameter ParameterList PixelShuffle PoissonNLLLoss RNN RNNBase
        RNNCell RNNCellBase RReLU ReLU ReLU6 ReflectionPad1d ReflectionPad2d ReplicationPad1d
        ReplicationPad2d ReplicationPad3d SELU Sequential Sigmoid SmoothL1Loss SoftMarginLoss
        Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink Threshold
        TripletMarginLoss Upsample UpsamplingBilinear2d UpsamplingNearest2d ZeroPad2d
    """,
    "nn.functional": """
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
        adaptive_max_pool2d adaptive_max_pool3d affine_grid alpha_dropout avg_pool1d
        avg_pool2d avg_pool3d batch_norm bilinear binary_cross_entropy
        binary_cross_entropy_with_logits conv1d conv2d conv3d conv_transpose1d
        conv_transpose2d conv_transpose3d cosine_embedding_loss cosine_similarity
        cross_entropy dropout dropout2d dropout3d elu elu_ embedding embedding_bag glu
        grid_sample hardshrink hardtanh hardtanh_ hinge_embedding_loss kl_div l1_loss
        leaky_relu leaky_relu_ linear log_softmax logsigmoid lp_pool1d lp_pool2d
        margin_ranking_loss max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d
        max_unpool3d mse_loss multi_margin_loss multilabel_margin_loss
        multilabel_soft_margin_loss nll_loss normalize pad pairwise_distance pixel_shuffle
        poisson_nll_loss prelu relu relu6 relu_ rrelu rrelu_ selu sigmoid smooth_l1_loss
        soft_margin_loss softmax softmin softplus softshrink softsign tanh tanhshrink
        threshold threshold_ triplet_margin_loss upsample upsample_bilinear upsample_nearest
    """,
    "autograd": """
        Variable backward grad gradcheck
    """,
    "cuda": """
        ByteStorage ByteTensor CharStorage CharTensor CudaError DoubleStorage DoubleTensor
        Event FloatStorage FloatTensor HalfStorage HalfTensor IntStorage IntTensor LongStorage
        LongTensor ShortStorage ShortTensor Stream current_device current_stream device
        device_count device_of empty_cache get_device_capability get_device_name get_rng_state
        get_rng_state_all initial_seed is_available manual_seed manual_seed_all seed seed_all
        set_device set_rng_state set_rng_state_all stream synchronize
    """,
    "random": """
        fork_rng
    """,
}


def _is_of_03(module: str, name: str) -> bool:
    path = f"{module}.{name}" if module else name
    modules = MODULES.split()
    known = NAMES.get(module, "").split()
    return name in known or path in modules or any(path.startswith(m + ".") for m in modules)


def _sentence(path: str) -> str:
    return f"torch.{path} of PyTorch 0.3 is not part of rgrad yet"


def names_itself(package: str, later: Collection[str] = ()) -> Callable[[str], object]:
    """The `__getattr__` of a module, which imports submodules in `later` when asked for them."""

    def __getattr__(name: str) -> object:
        if name in later:
            return importlib.import_module(f"{package}.{name}")
        module = package.partition(".")[2]
        if _is_of_03(module, name):
            raise AttributeError(_sentence(f"{module}.{name}" if module else name))
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return __getattr__


class _Finder:
    """Asked for modules that nobody else has found."""

    @staticmethod
    def find_spec(fullname: str, path: object, target: object = None) -> None:
        package, _, rest = fullname.partition(".")
        if package == "rgrad" and rest:
            module, _, name = rest.rpartition(".")
            if _is_of_03(module, name):
                raise ImportError(_sentence(rest), name=fullname)


def install() -> None:
    """Makes `import rgrad.optim` and `from rgrad.nn import LSTM` say what is the matter."""
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
