"""What introspection cannot know of rgrad._C: the types of what PyO3 makes.

A parameter is looked up as `Class.method.parameter`, `method.parameter`, `parameter`; a result as
`Class.method`, `method`. The writer fails for a name that is missing here, and for an entry that
nothing uses. In the types stand for the class at hand:

    {T} a tensor operand, {R} a result of the own class, {N} a number as a result,
    {A} a result that may be a number, {F} one of the default class, or `out`,
    {Float} and its kin: that class on the same device, {Cpu} and {Gpu}: its own class there
"""

ELEMENTS = ("Byte", "Char", "Short", "Int", "Long", "Float", "Double", "Half")

# Aliases, because methods such as `int` and `float` hide the types inside their classes.
ALIASES = """\
_int: TypeAlias = int
_float: TypeAlias = float
_Number: TypeAlias = int | float
_Sizes: TypeAlias = tuple[int, ...] | list[int]
_Data: TypeAlias = Sequence[Any] | NDArray[Any] | _TensorBase | _StorageBase
_Key: TypeAlias = (
    int | slice | EllipsisType | _TensorBase | Variable | list[Any] | tuple[Any, ...] | None
)
_T = TypeVar("_T", bound=_TensorBase)
"""

# Module and the names that a stub may need of it.
IMPORTS = [
    ("collections.abc", ["Callable", "Iterable", "Iterator", "Sequence"]),
    ("os", ["PathLike"]),
    ("types", ["EllipsisType"]),
    ("typing", ["Any", "Literal", "Never", "NoReturn", "Self", "SupportsIndex", "TypeAlias"]),
    ("typing", ["TypeVar", "final", "overload"]),
]

PARAMETERS = {
    # Methods and operators.
    "value": "{T} | _Number",
    "__rsub__.value": "_Number",
    "__rtruediv__.value": "_Number",
    "__rpow__.value": "_Number",
    "__matmul__.value": "{T}",
    # Python makes these two for every class with `%` and `@`; they take nothing.
    **{f"__r{name}__.value": "Never" for name in ("and", "or", "xor", "lshift", "rshift")},
    "__rmod__.value": "Never",
    "__rmatmul__.value": "Never",
    "__setitem__.value": "{T} | _Number | list[Any] | NDArray[Any]",
    "__delitem__.key": "Never",
    "key": "_Key",
    "mod": "None",
    "dtype": "Any",
    "copy": "bool | None",
    "context": "Any",
    "return_scalar": "bool",
    "stream": "_int | None",
    "max_version": "tuple[_int, _int] | None",
    "dl_device": "tuple[_int, _int] | None",
    "memo": "dict[_int, Any]",
    "_protocol": "SupportsIndex",
    "__setstate__.state": "tuple[Any, ...]",
    "__contains__.key": "{T} | _Number",
    "__div__.other": "{T} | _Number",
    "__idiv__.other": "{T} | _Number",
    "__rdiv__.other": "_Number",
    "other": "{T}",
    "tensor": "{T}",
    "type_as.other": "_TensorBase | Variable",
    "source": "{T}",
    "is_set_to.tensor": "_TensorBase | Variable",
    "broadcast": "bool",
    "device": "_int | None",
    "from_": "_float",
    "to": "_float",
    "mean": "_float",
    "std": "_float",
    "lambd": "_float",
    "bounds": "_int",
    "median": "_float",
    "sigma": "_float",
    "geometric_.p": "_float",
    "float_p": "_TensorBase | None",
    "callable": "Any",
    "x": "{T}",
    "y": "{T}",
    "p": "_float | _TensorBase | None",
    "sizes": "_int",
    "split_size": "_int",
    "chunks": "_int",
    "mask": "{Byte}",
    "variable": "Variable",
    "slice.start": "_int",
    "slice.end": "_int | None",
    "slice.step": "_int",
    "path": "str | PathLike[str]",
    # Variables and differentiation.
    "gradient": "Variable | _TensorBase | None",
    "variables": "Variable | Iterable[Variable]",
    "grad_variables": "Variable | _TensorBase | Iterable[Variable | _TensorBase | None] | None",
    "retain_graph": "bool | None",
    "create_graph": "bool | None",
    "retain_variables": "bool | None",
    "hook": "Callable[..., Any]",
    "tensors": "_TensorBase | None",
    "mark_dirty.args": "_TensorBase",
    "mark_non_differentiable.args": "_TensorBase",
    "pairs": "tuple[_TensorBase, _TensorBase]",
    "apply.args": "Any",
    "_do_forward.args": "Any",
    "_args": "object",
    "_register_hook_dict.variable": "Variable",
    "_delayed_error.variables": "Any",
    "message": "str",
    "callback": "Callable[[], object]",
    "phase": "str",
    "info": "dict[str, int]",
    "on": "bool",
    "root": "Variable",
    "names": "Sequence[tuple[str, Variable]]",
    "folder": "str",
    "_error": "object",
    "of": "object",
    "each": "Callable[[dict[str, Any]], object]",
    # Functions.
    "means": "{R} | _Number | None",
    "normal.mean": "_Number | None",
    "normal.std": "{T} | _Number | None",
    "_backcompat_warning.on": "bool | None",
    "input": "{R}",
    "numel.input": "_TensorBase | Variable",
    "tensor1": "{R}",
    "tensor2": "{T}",
    "seq": "Iterable[{R}]",
    "sequence": "Iterable[{R}]",
    "target": "{T}",
    "weight": "{T} | None",
    "dim": "_int",
    "out": "{R} | None",
    "randperm.out": "LongTensor | None",
    "multinomial.out": "LongTensor | None",
    "generator": "Generator | None",
    "num_samples": "_int",
    "replacement": "bool",
    "threshold": "_Number",
    "_threshold.value": "_Number",
    "inplace": "bool",
    "size_average": "bool",
    "ignore_index": "int",
    "args": "_Number",
    "start": "float",
    "end": "float",
    "step": "float",
    "arange.start": "_Number | None",
    "arange.end": "_Number | None",
    "arange.step": "_Number | None",
    "steps": "int",
    "n": "int",
    "m": "int | None",
    "array": "NDArray[Any]",
    "obj": "object",
    "seed": "int",
    "state": "ByteTensor",
    "new_state": "ByteTensor",
    "name": "str",
    "precision": "int | None",
    "set_printoptions.threshold": "float | None",
    "edgeitems": "int | None",
    "linewidth": "int | None",
    "profile": 'Literal["default", "short", "full"] | None',
    "_set_size_class.class_": "type[Any]",
    # Storages.
    "_StorageBase.copy_.source": "_StorageBase",
    "_StorageBase.fill_.value": "_Number",
    "new_size": "_int",
    "_to_dlpack.tensor": "_TensorBase",
    "_from_dlpack.source": "Any",
    "buffer": "Any",
    "byte_order": 'Literal["native", "little", "big"] | None',
    "count": "_int",
    "offset": "_int",
    "filename": "str | PathLike[str]",
    "shared": "bool",
    "size": "_int",
    "resize_.size": "_int | _Sizes | None",
    "the_template": "{T}",
    "as_strided.size": "_int | _Sizes",
    "as_strided_.size": "_int | _Sizes",
    "as_strided.stride": "_int | _Sizes",
    "as_strided_.stride": "_int | _Sizes",
    "indices": "_Key",
    "as_strided.storage_offset": "_int",
    "as_strided_.storage_offset": "_int",
}

RETURNS = {
    # Operators.
    **{f"__{name}__": "{R}" for name in ("add", "sub", "mul", "truediv", "div", "mod", "pow")},
    **{f"__r{name}__": "{R}" for name in ("add", "sub", "mul", "truediv", "pow")},
    **{f"__i{name}__": "Self" for name in ("add", "sub", "mul", "truediv", "div", "mod", "pow")},
    **{f"__{name}__": "{R}" for name in ("and", "or", "xor", "lshift", "rshift", "rdiv")},
    **{f"__i{name}__": "Self" for name in ("and", "or", "xor", "lshift", "rshift")},
    **{f"__r{name}__": "Any" for name in ("and", "or", "xor", "lshift", "rshift")},
    "__contains__": "bool",
    "__dir__": "list[str]",
    "Variable.__ipow__": "NoReturn",
    **{f"__{name}__": "{Byte}" for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "__neg__": "{R}",
    "__invert__": "{R}",
    "Variable.__invert__": "NoReturn",
    "__matmul__": "{A}",
    "__rmod__": "Any",
    "__rmatmul__": "Any",
    "__getitem__": "{A}",
    "index": "{A}",
    "as_strided": "{R}",
    "as_strided_": "Self",
    "__setitem__": "None",
    "__delitem__": "None",
    "__iter__": "Iterator[{A}]",
    "__len__": "_int",
    "__bool__": "bool",
    "__int__": "_int",
    "__float__": "_float",
    "__hash__": "_int",
    "__repr__": "str",
    "__str__": "str",
    "__array__": "NDArray[Any]",
    # A number where NumPy gives one.
    "__array_wrap__": "Any",
    "__dlpack__": "Any",
    "__dlpack_device__": "tuple[_int, _int]",
    "__deepcopy__": "Self",
    "__reduce__": "tuple[Any, ...]",
    "__array_interface__": "dict[str, Any]",
    "__sizeof__": "_int",
    "_repr_html_": "str",
    "_cdata": "_int",
    "__reduce_ex__": "tuple[Any, ...]",
    "__setstate__": "None",
    # What tensors and Variables say of themselves.
    **dict.fromkeys(("dim", "ndimension", "numel", "nelement", "element_size"), "_int"),
    **dict.fromkeys(("storage_offset", "data_ptr", "get_device"), "_int"),
    **dict.fromkeys(("is_contiguous", "is_signed", "is_pinned", "is_same_size"), "bool"),
    **dict.fromkeys(("is_set_to", "is_cuda", "all", "any", "equal"), "bool"),
    **dict.fromkeys(("is_sparse", "is_shared"), "bool"),
    "storage": "Any",
    "pin_memory": "NoReturn",
    "shape": "Size",
    "tolist": "list[Any]",
    "numpy": "NDArray[Any]",
    "_TensorBase.data": "NoReturn",
    # What they become.
    **{name.lower(): f"{{{name}}}" for name in ELEMENTS},
    "contiguous": "{R}",
    "cpu": "{Cpu}",
    "cuda": "{Gpu}",
    "type_as": "{T}",
    "matmul": "{A}",
    "expand_as": "{R}",
    "view_as": "{R}",
    **dict.fromkeys(("copy_", "resize_", "resize_as_", "detach_"), "Self"),
    **dict.fromkeys(("share_memory_", "_StorageBase.clone", "fill_"), "Self"),
    **{f"_StorageBase.{n.lower()}": f"{n}Storage | cuda_{n}Storage" for n in ELEMENTS},
    "_StorageBase.cpu": "_StorageBase",
    "_StorageBase.cuda": "_StorageBase",
    "from_buffer": "Self",
    "from_file": "Self",
    "is_storage": "bool",
    "_to_dlpack": "Any",
    "_from_dlpack": "_TensorBase",
    "_tensor_class": "type[Any]",
    "_storage_class": "type[Any]",
    **dict.fromkeys(("split", "chunk"), "tuple[{R}, ...]"),
    **dict.fromkeys(("slice", "masked_copy", "resize", "resize_as"), "{R}"),
    "masked_copy_": "Self",
    **dict.fromkeys(("copy_", "resize_", "resize_as_", "detach_"), "Self"),
    **dict.fromkeys(("uniform_", "normal_", "random_", "bernoulli_", "exponential_"), "Self"),
    **dict.fromkeys(("log_normal_", "cauchy_", "geometric_", "apply_", "map_", "map2_"), "Self"),
    # Variables, nodes, generators, pictures.
    # A tensor of any class; only the program knows of which.
    "Variable.data": "Any",
    "Variable.grad": "Variable | None",
    "Variable._grad": "Variable | None",
    "_base": "Variable | None",
    "grad_fn": "_Node | None",
    "_grad_fn": "_Node | None",
    "output_nr": "_int",
    "_version": "_int",
    **dict.fromkeys(("requires_grad", "volatile", "is_leaf", "retains_grad"), "bool"),
    "Variable.name": "str | None",
    "backward": "None",
    "detach": "Variable",
    "retain_grad": "None",
    "next_functions": "tuple[tuple[_Node | None, int], ...]",
    "variable": "Variable",
    "_Node.name": "str",
    "register_hook": "Any",
    "_register_hook_dict": "None",
    "_Node.__call__": "Any",
    "_FunctionBase.__call__": "Any",
    "apply": "Any",
    "_do_forward": "Any",
    **dict.fromkeys(("save_for_backward", "mark_dirty", "mark_shared_storage"), "None"),
    "mark_non_differentiable": "None",
    **dict.fromkeys(("to_save", "dirty_tensors", "shared_pairs"), "tuple[Any, ...] | None"),
    "non_differentiable": "tuple[Any, ...] | None",
    "needs_input_grad": "tuple[bool, ...]",
    "saved_tensors": "tuple[Any, ...]",
    "saved_variables": "tuple[Any, ...]",
    "_backward_hooks": "dict[Any, Any] | None",
    "reinforce": "NoReturn",
    "_delayed_error": "tuple[Any, ...]",
    "_queue_callback": "None",
    "_before_fork": "None",
    "_after_fork": "None",
    "_collecting": "None",
    "_last_search": "None",
    "Generator.manual_seed": "Self",
    "seed": "int",
    "initial_seed": "int",
    "get_state": "ByteTensor",
    "set_state": "Self",
    "_repr_svg_": "str",
    "save": "None",
    # Functions.
    **dict.fromkeys(
        ("zeros", "ones", "rand", "randn", "arange", "range", "linspace", "logspace", "eye"), "{F}"
    ),
    **dict.fromkeys(("zeros_like", "ones_like", "cat", "stack"), "{R}"),
    **dict.fromkeys(("_softmax", "_log_softmax", "_threshold"), "{R}"),
    **dict.fromkeys(("_nll_loss", "_mse_loss"), "{R}"),
    "multinomial": "{Long}",
    "bernoulli": "{R}",
    "normal": "{R}",
    "_backcompat_warning": "bool",
    "_gpu_generator": "Generator",
    "randperm": "LongTensor",
    # Of the array's class, which its type does not tell.
    "from_numpy": "Any",
    "is_tensor": "bool",
    "manual_seed": "Generator",
    "get_rng_state": "ByteTensor",
    "set_rng_state": "None",
    "set_printoptions": "None",
    "get_num_threads": "int",
    "set_num_threads": "None",
    "is_grad_enabled": "bool",
    "_set_grad_enabled": "bool",
    "live_nodes": "int",
    "_set_default_tensor_type": "None",
    "_set_size_class": "None",
    "_cpu_features": "str",
    "_gpu_adapters": "list[str]",
    "_gpu_manifest": "str",
    "_gpu_is_available": "bool",
    "_gpu_device_count": "int",
    "_gpu_device_name": "str",
    "_gpu_synchronize": "None",
    "_pictures": "tuple[Picture, Picture]",
    "_start_source_lines": "bool",
    "_set_source_lines": "bool",
    "_source_lines_are_quick": "bool",
    "source_of": "tuple[str, _int, str, str | None] | None",
    "saved_bytes": "int",
    "_explain": "None",
    "_formulas": "list[tuple[str, str, str, str]]",
    "_set_anomaly": "bool",
    "_profile_start": "bool",
    "_profile_stop": "list[tuple[str, _int, _int, _int]]",
    "_Range.__enter__": "None",
    "_Range.__exit__": "None",
}

# Where the result depends on the arguments: all the forms, each as parameters and result.
WRITTEN = {
    "size": [("dim: None = None", "Size"), ("dim: _int", "_int")],
    "stride": [("dim: None = None", "tuple[_int, ...]"), ("dim: _int", "_int")],
    "_TensorBase.type": [
        ("new_type: None = None", "str"),
        ("new_type: builtins.type[_T]", "_T"),
        ("new_type: str", "_TensorBase"),
    ],
    "_StorageBase.type": [
        ("new_type: None = None", "str"),
        ("new_type: builtins.type[_StorageBase] | str", "_StorageBase"),
    ],
    "_StorageBase.size": [("", "_int")],
    "_StorageBase.__getitem__": [("key: _int, /", "_Number"), ("key: slice, /", "Self")],
    "_StorageBase.__setitem__": [("key: _int | slice, value: _Number, /", "None")],
    "_StorageBase.__iter__": [("", "Iterator[Any]")],
    "_StorageBase.new": [
        ("size: _int = 0", "Self"),
        ("data: Sequence[_Number] | _StorageBase", "Self"),
    ],
    "set_": [
        (
            "source: Self | _StorageBase | None = None, storage_offset: _int | None = None, "
            "size: _int | _Sizes | None = None, stride: _int | _Sizes | None = None, *, "
            "storage: _StorageBase | None = None, sourceStorage: _StorageBase | None = None",
            "Self",
        )
    ],
    "Variable.clamp": [
        ("min: _Number, max: _Number | None = None", "Variable"),
        ("min: None = None, *, max: _Number", "Variable"),
        ("min: None, max: _Number", "Variable"),
    ],
    "Variable.clamp_": [
        ("min: _Number, max: _Number | None = None", "Self"),
        ("min: None = None, *, max: _Number", "Self"),
        ("min: None, max: _Number", "Self"),
    ],
    "Variable.type": [
        ("new_type: None = None", "str"),
        ("new_type: builtins.type[_TensorBase] | str", "Variable"),
    ],
    "new": [("*sizes: _int", "Self"), ("data: _Data, /", "Self")],
    "grad": [
        (
            "outputs: Variable | Iterable[Variable], inputs: Variable | Iterable[Variable], "
            "grad_outputs: Variable | _TensorBase | Iterable[Variable | _TensorBase | None] | None"
            " = None, retain_graph: bool | None = None, create_graph: bool | None = None, "
            "only_inputs: bool = True, allow_unused: Literal[False] = False",
            "tuple[Variable, ...]",
        ),
        (
            "outputs: Variable | Iterable[Variable], inputs: Variable | Iterable[Variable], "
            "grad_outputs: Variable | _TensorBase | Iterable[Variable | _TensorBase | None] | None"
            " = None, retain_graph: bool | None = None, create_graph: bool | None = None, "
            "only_inputs: bool = True, *, allow_unused: bool",
            "tuple[Variable | None, ...]",
        ),
    ],
}

# Constructors.
NEW = {
    "_CpuTensor": [("*sizes: _int", "Self"), ("data: _Data, /", "Self")],
    "_GpuTensor": [("*sizes: _int", "Self"), ("data: _Data, /", "Self")],
    "_StorageBase": [
        ("size: _int = 0, /", "Self"),
        ("data: Sequence[_Number], /", "Self"),
        ("view_source: _StorageBase, offset: _int = 0, size: _int = ..., /", "Self"),
    ],
    "Variable": [
        (
            "data: _TensorBase | None = None, requires_grad: bool | None = None, "
            "volatile: bool | None = None, _grad_fn: None = None, name: str | None = None",
            "Self",
        )
    ],
    "Generator": [("", "Self")],
    "_Range": [("name: str", "Self")],
    "_FunctionBase": [("*args: Any, **kwargs: Any", "Self")],
}

# What Python code of ours puts on classes.
ATTRIBUTES = {"_execution_engine": "Any"}

# Where a checker must look away: comparisons give tensors, and `**=` always fails.
IGNORED = {"__eq__": "override", "__ne__": "override", "__ipow__": "misc"}

# Called on the class.
OF_THE_CLASS = {"apply", "from_buffer", "from_file"}

# Names that 0.3 gives to the second operand where a row calls it by a letter.
OPERANDS = {"mm": "mat2", "bmm": "mat2", "mv": "vec", "dot": "tensor2"}
