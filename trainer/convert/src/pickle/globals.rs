//! What a pickle may name. Nothing of it is ever imported or called: a name only says how its arguments are to be read.

use sekisho_weights::Dtype;

/// How the arguments of a name are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `collections.OrderedDict`.
    Dict,
    /// A list, a set or another row of values.
    List,
    /// `torch.Size`: a tuple.
    Tuple,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: the element type is the storage's.
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`: the element type is an argument.
    TensorWithDtype,
    /// `torch._utils._rebuild_parameter`: its first argument.
    Parameter,
    /// A typed storage; none where the type cannot be written to safetensors.
    Storage(Option<Dtype>),
    /// An element type; none where it cannot be written to safetensors.
    Dtype(Option<Dtype>),
    /// Kept with its arguments and its state, as data.
    Object,
}

/// Module, name, how it is read.
#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

const fn global(module: &'static str, name: &'static str, kind: Kind) -> Global {
    Global { module, name, kind }
}

const TORCH_METADATA: &str = "torch.distributed.checkpoint.metadata";
const PLANNER: &str = "torch.distributed.checkpoint.planner";
const RERUN: &str = "megatron.core.rerun_state_machine";
const ENUMS: &str = "megatron.core.transformer.enums";

/// The whole list. PyTorch's names are those of `torch/_utils.py`, `torch/storage.py` and `torch/distributed/checkpoint`,
/// NumPy's those of a random generator's state, Megatron's the enumerations among its arguments.
static GLOBALS: &[Global] = &[
    global("collections", "OrderedDict", Kind::Dict),
    global("builtins", "set", Kind::List),
    global("__builtin__", "set", Kind::List),
    global("argparse", "Namespace", Kind::Object),
    global("types", "SimpleNamespace", Kind::Object),
    global("signal", "Signals", Kind::Object),
    global("pathlib", "PosixPath", Kind::Object),
    global("datetime", "timedelta", Kind::Object),
    global("_io", "BytesIO", Kind::Object),
    global("_codecs", "encode", Kind::Object),
    global("numpy", "ndarray", Kind::Object),
    global("numpy", "dtype", Kind::Object),
    global("numpy.core.multiarray", "_reconstruct", Kind::Object),
    global("numpy._core.multiarray", "_reconstruct", Kind::Object),
    global("numpy.core.multiarray", "scalar", Kind::Object),
    global("numpy._core.multiarray", "scalar", Kind::Object),
    global("torch", "Size", Kind::Tuple),
    global("torch", "device", Kind::Object),
    global("torch.serialization", "_get_layout", Kind::Object),
    global("torch._utils", "_rebuild_tensor", Kind::Tensor),
    global("torch._utils", "_rebuild_tensor_v2", Kind::Tensor),
    global("torch._utils", "_rebuild_tensor_v3", Kind::TensorWithDtype),
    global("torch._utils", "_rebuild_parameter", Kind::Parameter),
    global("torch", "DoubleStorage", Kind::Storage(Some(Dtype::F64))),
    global("torch", "FloatStorage", Kind::Storage(Some(Dtype::F32))),
    global("torch", "HalfStorage", Kind::Storage(Some(Dtype::F16))),
    global("torch", "BFloat16Storage", Kind::Storage(Some(Dtype::BF16))),
    global("torch", "LongStorage", Kind::Storage(Some(Dtype::I64))),
    global("torch", "IntStorage", Kind::Storage(Some(Dtype::I32))),
    global("torch", "ShortStorage", Kind::Storage(Some(Dtype::I16))),
    global("torch", "CharStorage", Kind::Storage(Some(Dtype::I8))),
    global("torch", "ByteStorage", Kind::Storage(Some(Dtype::U8))),
    global("torch", "BoolStorage", Kind::Storage(None)),
    global("torch.storage", "UntypedStorage", Kind::Storage(Some(Dtype::U8))),
    global("torch", "float64", Kind::Dtype(Some(Dtype::F64))),
    global("torch", "float32", Kind::Dtype(Some(Dtype::F32))),
    global("torch", "float16", Kind::Dtype(Some(Dtype::F16))),
    global("torch", "bfloat16", Kind::Dtype(Some(Dtype::BF16))),
    global("torch", "float8_e4m3fn", Kind::Dtype(Some(Dtype::F8E4M3))),
    global("torch", "float8_e5m2", Kind::Dtype(Some(Dtype::F8E5M2))),
    global("torch", "int64", Kind::Dtype(Some(Dtype::I64))),
    global("torch", "int32", Kind::Dtype(Some(Dtype::I32))),
    global("torch", "int16", Kind::Dtype(Some(Dtype::I16))),
    global("torch", "int8", Kind::Dtype(Some(Dtype::I8))),
    global("torch", "uint8", Kind::Dtype(Some(Dtype::U8))),
    global("torch", "bool", Kind::Dtype(None)),
    global(TORCH_METADATA, "Metadata", Kind::Object),
    global(TORCH_METADATA, "MetadataIndex", Kind::Object),
    global(TORCH_METADATA, "TensorStorageMetadata", Kind::Object),
    global(TORCH_METADATA, "BytesStorageMetadata", Kind::Object),
    global(TORCH_METADATA, "ChunkStorageMetadata", Kind::Object),
    global(TORCH_METADATA, "TensorProperties", Kind::Object),
    global(TORCH_METADATA, "StorageMeta", Kind::Object),
    global(TORCH_METADATA, "_MEM_FORMAT_ENCODING", Kind::Object),
    // Megatron-Core keeps the plans of all ranks with the metadata.
    global(PLANNER, "SavePlan", Kind::Object),
    global(PLANNER, "WriteItem", Kind::Object),
    global(PLANNER, "WriteItemType", Kind::Object),
    global(PLANNER, "TensorWriteData", Kind::Object),
    global(PLANNER, "BytesIOWriteData", Kind::Object),
    global("torch.distributed.checkpoint.filesystem", "_StorageInfo", Kind::Object),
    global("torch.distributed.checkpoint.filesystem", "_StoragePrefix", Kind::Object),
    global("torch.distributed.checkpoint.filesystem", "SerializationFormat", Kind::Object),
    global(
        "megatron.core.dist_checkpointing.strategies.resharding",
        "TensorReformulationMetadata",
        Kind::Object,
    ),
    global("megatron.core.enums", "ModelType", Kind::Object),
    global("megatron.core.enums", "Fp8Recipe", Kind::Object),
    global("megatron.core.enums", "Fp4Recipe", Kind::Object),
    global(ENUMS, "AttnBackend", Kind::Object),
    global(ENUMS, "AttnMaskType", Kind::Object),
    global(ENUMS, "AttnType", Kind::Object),
    global(ENUMS, "LayerType", Kind::Object),
    global(ENUMS, "ModelType", Kind::Object),
    global(ENUMS, "CudaGraphScope", Kind::Object),
    global(RERUN, "RerunMode", Kind::Object),
    global(RERUN, "RerunState", Kind::Object),
    global(RERUN, "RerunDiagnostic", Kind::Object),
    global(RERUN, "RerunDataIterator", Kind::Object),
    global(RERUN, "QuickStats", Kind::Object),
];

/// The entry of a name, if it is on the list.
pub(crate) fn find(module: &str, name: &str) -> Option<&'static Global> {
    GLOBALS.iter().find(|global| global.module == module && global.name == name)
}
