//! The texts: which shaders there are, what is put in front of each, and the pipelines made of them.
//!
//! Every file of `shaders/` is in `FILES` or in `PRELUDE`, or it is not shipped.

use super::device::Gpu;
use super::groups::Map;
use crate::error::Result;
use crate::fail;
use crate::tensor::DType;
use parking_lot::RwLock;
use std::fmt::Write;
use std::sync::Arc;

/// A shader file, by its place in [`FILES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum File {
    Map0,
    Map1,
    Map2,
    Map3,
    FoldRow,
    FoldCol,
    ArgRow,
    ArgCol,
    Softmax,
    SoftmaxGrad,
    Matmul,
    Gemv,
    Gather,
    ScatterMark,
    ScatterMove,
    ScatterAddLine,
    ScatterAddScan,
}

macro_rules! files {
    ($($name:literal),*) => {
        /// Name and text of every shader, in the order of [`File`].
        pub(super) const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../shaders/", $name, ".wgsl")))),*];
    };
}

files!(
    "map0",
    "map1",
    "map2",
    "map3",
    "fold_row",
    "fold_col",
    "arg_row",
    "arg_col",
    "softmax",
    "softmax_grad",
    "matmul",
    "gemv",
    "gather",
    "scatter_mark",
    "scatter_move",
    "scatter_add_line",
    "scatter_add_scan"
);

/// What goes in front of every shader.
pub(super) const PRELUDE: &str = concat!(
    include_str!("../../shaders/prelude.wgsl"),
    include_str!("../../shaders/angles.wgsl")
);

/// How a kernel sees the elements of an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    F32,
    I32,
    /// Bytes, four in a word, seen as `i32`.
    U8,
    /// Longs seen as `i32`; one that does not fit is an error.
    I64,
    /// Four bytes that are only moved.
    Raw32,
    /// Eight bytes, low word first.
    Raw64,
}

impl Kind {
    /// The kind for arithmetic; `Operand::check` has refused other types.
    pub fn of(dtype: DType) -> Kind {
        match dtype {
            DType::F32 => Kind::F32,
            DType::U8 => Kind::U8,
            DType::I64 => Kind::I64,
            _ => Kind::I32,
        }
    }

    /// The kind for moving.
    pub fn raw(dtype: DType) -> Kind {
        match dtype {
            DType::U8 => Kind::U8,
            DType::I64 => Kind::Raw64,
            _ => Kind::Raw32,
        }
    }

    /// The type in WGSL.
    pub fn text(self) -> &'static str {
        match self {
            Kind::F32 => "f32",
            Kind::I32 | Kind::U8 | Kind::I64 => "i32",
            Kind::Raw32 => "u32",
            Kind::Raw64 => "vec2<u32>",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::F32 => "f32",
            Kind::I32 => "i32",
            Kind::U8 | Kind::Raw32 => "u32",
            Kind::I64 | Kind::Raw64 => "vec2<u32>",
        }
    }
}

/// How an operand is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Use {
    Read,
    Write,
    Both,
    /// Read through the binding of `y`, which is the same buffer.
    Shared,
}

/// An operand of a shader whose element types vary: `a`, `b` or `c` with `get_`, `y` with `put_`.
pub(super) struct Slot {
    pub name: char,
    pub kind: Kind,
    pub how: Use,
}

/// The definitions for `slots`: bindings in order of reads and writes, `get_` and `put_`.
pub(super) fn accessors(slots: &[Slot], flat: bool) -> String {
    let mut text = String::new();
    let mut binding = 0;
    let complains = slots
        .iter()
        .any(|s| s.kind == Kind::I64 && s.how != Use::Write);
    if complains {
        text.push_str(COMPLAIN);
    }
    let order = |s: &Slot| matches!(s.how, Use::Write | Use::Both);
    for writes in [false, true] {
        for slot in slots
            .iter()
            .filter(|s| s.how != Use::Shared && order(s) == writes)
        {
            let access = if writes { "read_write" } else { "read" };
            let element = match (slot.kind, flat) {
                (Kind::U8, false) if writes => "atomic<u32>".to_string(),
                (Kind::U8, _) => "u32".into(),
                (Kind::I64 | Kind::Raw64, true) => "vec4<u32>".into(),
                (kind, true) => format!("vec4<{}>", kind.word()),
                (kind, false) => kind.word().into(),
            };
            let _ = writeln!(
                text,
                "@group(0) @binding({binding}) var<storage, {access}> {}_: array<{element}>;",
                slot.name
            );
            binding += 1;
        }
    }
    let y_writes = slots.iter().any(|s| s.name == 'y' && order(s));
    for slot in slots {
        if slot.how != Use::Write {
            let from = if slot.how == Use::Shared && y_writes {
                'y'
            } else {
                slot.name
            };
            text.push_str(&getter(slot, from, flat));
        }
        if order(slot) {
            text.push_str(&putter(slot, flat));
        }
    }
    text
}

/// Lets a kernel report a bad index; the first one of a batch of work is kept.
pub(super) const COMPLAIN: &str = "\
@group(1) @binding(1) var<storage, read_write> trouble: array<atomic<u32>, 4>;
fn complain(value: vec2<u32>) {
    if atomicMax(&trouble[3], 1u) == 0u {
        atomicStore(&trouble[0], at.tag);
        atomicStore(&trouble[1], value.x);
        atomicStore(&trouble[2], value.y);
    }
}
";

fn getter(slot: &Slot, from: char, flat: bool) -> String {
    let (name, kind) = (slot.name, slot.kind);
    let ty = kind.text();
    let b = format!("{from}_");
    // A long that is no 32-bit number would be taken for another one.
    let check = "if v.y != bitcast<u32>(bitcast<i32>(v.x) >> 31u) { complain(v); return -1; }";
    if !flat {
        let body = match kind {
            Kind::U8 if from == 'y' || slot.how == Use::Both => {
                format!("return i32((atomicLoad(&{b}[i / 4u]) >> (i % 4u * 8u)) & 255u);")
            }
            Kind::U8 => format!("return i32(({b}[i / 4u] >> (i % 4u * 8u)) & 255u);"),
            Kind::I64 => format!("let v = {b}[i]; {check} return bitcast<i32>(v.x);"),
            _ => format!("return {b}[i];"),
        };
        return format!("fn get_{name}(i: u32) -> {ty} {{ {body} }}\n");
    }
    let axis = match name {
        'a' => 'x',
        'b' => 'y',
        'c' => 'z',
        _ => 'w',
    };
    // A step of zero repeats one element for all.
    let (all, one) = match kind {
        Kind::U8 => (
            format!(
                "let w = {b}[i / 4u]; return array<i32, 4>(i32(w & 255u), i32((w >> 8u) & 255u), i32((w >> 16u) & 255u), i32(w >> 24u));"
            ),
            format!("let v = i32(({b}[i / 4u] >> (i % 4u * 8u)) & 255u);"),
        ),
        Kind::I64 => (
            format!(
                "let left = at.count - (i - at.offsets.{axis}); let p = {b}[i / 2u]; let q = {b}[i / 2u + 1u]; return array<i32, 4>(int_{name}(p.xy, true), int_{name}(p.zw, left > 1u), int_{name}(q.xy, left > 2u), int_{name}(q.zw, left > 3u));"
            ),
            format!(
                "let p = {b}[i / 2u]; let v = int_{name}(select(p.xy, p.zw, (i & 1u) == 1u), true);"
            ),
        ),
        Kind::Raw64 => (
            format!(
                "let p = {b}[i / 2u]; let q = {b}[i / 2u + 1u]; return array<vec2<u32>, 4>(p.xy, p.zw, q.xy, q.zw);"
            ),
            format!("let p = {b}[i / 2u]; let v = select(p.xy, p.zw, (i & 1u) == 1u);"),
        ),
        _ => (
            format!("let w = {b}[i / 4u]; return array<{ty}, 4>(w.x, w.y, w.z, w.w);"),
            format!("let v = {b}[i / 4u][i % 4u];"),
        ),
    };
    let fit = if kind == Kind::I64 {
        // Lanes behind the end hold anything: they are not checked.
        format!(
            "fn int_{name}(v: vec2<u32>, counts: bool) -> i32 {{ if counts {{ {check} }} return bitcast<i32>(v.x); }}\n"
        )
    } else {
        String::new()
    };
    format!(
        "{fit}fn get_{name}(i: u32) -> array<{ty}, 4> {{\n    if at.steps.{axis} == 0u {{ {one} return array<{ty}, 4>(v, v, v, v); }}\n    {all}\n}}\n"
    )
}

fn putter(slot: &Slot, flat: bool) -> String {
    let (name, kind) = (slot.name, slot.kind);
    let ty = kind.text();
    let b = format!("{name}_");
    if !flat {
        let body = match kind {
            // Neighbouring bytes belong to other invocations; each changes only its own bits.
            Kind::U8 => format!(
                "let s = i % 4u * 8u; atomicAnd(&{b}[i / 4u], ~(255u << s)); atomicOr(&{b}[i / 4u], (u32(v) & 255u) << s);"
            ),
            Kind::I64 => format!("{b}[i] = long_of_int_(v);"),
            _ => format!("{b}[i] = v;"),
        };
        return format!("fn put_{name}(i: u32, v: {ty}) {{ {body} }}\n");
    }
    // The last group may be shorter: what stands behind it is somebody else's.
    let (all, each) = match kind {
        Kind::U8 => (
            format!(
                "{b}[i / 4u] = (u32(v[0]) & 255u) | ((u32(v[1]) & 255u) << 8u) | ((u32(v[2]) & 255u) << 16u) | (u32(v[3]) << 24u);"
            ),
            format!(
                "{b}[i / 4u] = ({b}[i / 4u] & ~(255u << (k * 8u))) | ((u32(t[k]) & 255u) << (k * 8u));"
            ),
        ),
        Kind::I64 | Kind::Raw64 => {
            let of = |e: &str| {
                if kind == Kind::I64 {
                    format!("long_of_int_({e})")
                } else {
                    e.to_string()
                }
            };
            (
                format!(
                    "{b}[i / 2u] = vec4<u32>({}, {}); {b}[i / 2u + 1u] = vec4<u32>({}, {});",
                    of("v[0]"),
                    of("v[1]"),
                    of("v[2]"),
                    of("v[3]")
                ),
                format!(
                    "let l = {}; let p = {b}[(i + k) / 2u]; {b}[(i + k) / 2u] = select(vec4<u32>(p.xy, l), vec4<u32>(l, p.zw), k % 2u == 0u);",
                    of("t[k]")
                ),
            )
        }
        _ => (
            format!("{b}[i / 4u] = vec4<{ty}>(v[0], v[1], v[2], v[3]);"),
            format!("{b}[i / 4u][k] = t[k];"),
        ),
    };
    format!(
        "fn put_{name}(i: u32, v: array<{ty}, 4>) {{\n    let left = at.count - (i - at.offsets.w);\n    if left >= 4u {{ {all} return; }}\n    var t = v;\n    for (var k = 0u; k < left; k++) {{ {each} }}\n}}\n"
    )
}

/// The whole text that is compiled.
pub(super) fn assemble(file: File, defs: &str) -> String {
    format!("{PRELUDE}\n{defs}\n{}", FILES[file as usize].1)
}

/// A compiled shader.
pub(super) struct Pipeline {
    pub raw: wgpu::ComputePipeline,
    pub reads: usize,
    pub complains: bool,
}

/// What a shader must be told apart by, and what it is made of when it is new.
pub(super) struct Wanted<'a> {
    pub file: File,
    /// Everything that the definitions depend on.
    pub key: &'a [u8],
    pub reads: usize,
    pub writes: usize,
}

/// The pipelines, by key.
#[derive(Default)]
pub(super) struct Shaders {
    known: RwLock<Map<Box<[u8]>, Arc<Pipeline>>>,
    sent: RwLock<Vec<(String, String)>>,
}

impl Shaders {
    pub fn len(&self) -> usize {
        self.known.read().len()
    }

    /// The pipeline for `wanted`, compiled with `defs()` the first time.
    ///
    /// # Errors
    /// A text that does not compile: a wrong formula.
    pub fn get(
        &self,
        gpu: &Gpu,
        op: &str,
        wanted: &Wanted,
        defs: impl FnOnce() -> String,
    ) -> Result<Arc<Pipeline>> {
        if let Some(pipeline) = self.known.read().get(wanted.key) {
            return Ok(pipeline.clone());
        }
        let defs = defs();
        let name = FILES[wanted.file as usize].0;
        let text = assemble(wanted.file, &defs);
        let complains = defs.contains("fn complain(");
        let layout =
            &gpu.layouts.pipelines[wanted.reads][wanted.writes - 1][usize::from(complains)];
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let inner = gpu.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let module = super::buffer::module(&gpu.device, name, &text);
        let raw = gpu
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(layout),
                module: &module,
                entry_point: Some(name),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            });
        if let Some(e) = pollster::block_on(inner.pop()).or(pollster::block_on(scope.pop())) {
            fail!(
                Runtime,
                "{op}: its shader {name} does not compile on {}: {e}",
                gpu.name
            );
        }
        let pipeline = Arc::new(Pipeline {
            raw,
            reads: wanted.reads,
            complains,
        });
        self.sent.write().push((name.to_string(), defs));
        self.known
            .write()
            .insert(wanted.key.into(), pipeline.clone());
        Ok(pipeline)
    }
}

/// File and definitions of every shader compiled so far, for the tests that compare with the manifest.
pub fn sent() -> Vec<(String, String)> {
    super::device::opened().map_or(Vec::new(), |gpu| gpu.shaders.sent.read().clone())
}
