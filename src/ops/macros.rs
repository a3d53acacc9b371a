//! What makes rows: `pointwise!` for functions of single elements, `ops!` for the rest.

/// Rows with a kernel of their own.
///
/// ```text
/// /// Doc sentence.
/// view fn name(x, other; param: Type = default) -> y: Class named "python" as "NodeBackward" {
///     let shape: Dims = ...;          // shared by forward and formulas, kept with the node
///     sized shape;                    // the result's size, for formulas that would not notice another
///     forward(out) = kernel(...)?;    // `out` says where to write
///     made_of = parts;                // instead of a node of its own, if 0.3 has none: see `Op::parts`
///     grad x = |g, y| formula, "g * y"; // `g` incoming, then the operands and results it reads
///     try [(sample(&[2, 3]); 1, true)];
/// }
/// ```
/// `named` defaults to the row's name; without `as` nothing is recorded. The text behind a formula is
/// what `explain` shows; a formula that reads like mathematics needs none. The words before `fn`
/// are forms: `view`, `method`, `function`, `in_place`, `out`, `direct`, `broadcasts`, `host` and the
/// others of [`Forms`](crate::ops::Forms).
macro_rules! ops {
    ($(
        $(#[doc = $doc:literal])*
        $($form:ident)* : fn $name:ident($($x:ident),* $(; $($p:ident : $pt:ty $(= $default:expr)?),*)?)
            -> ($($y:ident),+) : $class:ident named $python:literal $(as $node:literal)?
        {
            $(let $kept:ident : $kt:ty = $kv:expr;)*
            $(sized $sized:expr;)?
            forward($out:ident $(, $operands:ident, $arguments:ident)?) = $forward:expr;
            $(made_of = $parts:expr;)?
            $(grad $gx:ident = |$g:ident $(, $s:ident)*| $formula:expr $(, $says:literal)?;)*
            try [$(($($tx:expr),* $(; $($tv:expr),*)?)),* $(,)?];
        }
    )*) => {
        $(
            $(#[doc = $doc])*
            #[allow(dead_code, unused_imports, unused_variables, unused_mut, unused_assignments,
                    reason = "every row binds all its names and reads those it needs")]
            pub mod $name {
                use super::*;
                use $crate::ops::macros::prelude::*;

                const INPUTS: &[&str] = &[$(stringify!($x)),*];
                const NAMES: &[&str] = &[$(stringify!($x),)* $(stringify!($y)),+];

                /// The row.
                pub static OP: Op = Op {
                    name: $python,
                    doc: concat!($($doc, "\n"),*),
                    inputs: INPUTS,
                    params: &[$($(Param {
                        name: stringify!($p),
                        kind: <$pt as ParamType>::KIND,
                        default: row_default!($pt $(, $default)?),
                    }),*)?],
                    results: &[$(stringify!($y)),+],
                    class: Class::$class,
                    forms: Forms { $($form: true,)* ..NO_FORMS },
                    rule: Rule {
                        node: concat!("" $(, $node)?),
                        saves,
                        inputs: INPUTS.len() as u32,
                        back: row_back!($($gx)*),
                    },
                    parts: row_parts!($($parts)?),
                    formulas: &[$(Formula {
                        of: stringify!($gx),
                        incoming: stringify!($g),
                        text: row_text!($formula $(, $says)?),
                    }),*],
                    run,
                    tries,
                };

                fn run(inputs: &[Input], values: &[Value], $out: &Out) -> Result<Made> {
                    let mut at = 0;
                    $(let $x = &inputs[const { index_of(INPUTS, stringify!($x)) as usize }].tensor;)*
                    $($(let $p: $pt = <$pt as FromValue>::from_value(&values[at]); at += 1;)*)?
                    $(let ($operands, $arguments) = (inputs, values);)?
                    $(let $kept: $kt = $kv;)*
                    let outputs = IntoOutputs::outputs($forward);
                    let mut lets = SmallVec::new();
                    $(lets.push(FromValue::into_value($kept));)*
                    Ok(Made { outputs, lets })
                }

                fn saves(needs: u64) -> u64 {
                    let mut kept = 0;
                    $(
                        if needs >> const { index_of(INPUTS, stringify!($gx)) } & 1 == 1 {
                            $(kept |= const { 1u64 << index_of(NAMES, stringify!($s)) };)*
                        }
                    )*
                    kept
                }

                #[allow(dead_code, reason = "rows without a formula have no way back")]
                fn back(step: &mut Step) -> Result<()> {
                    // Of several results only the first has a formula: the others are indices, or parts
                    // of a factorization.
                    let Some(Some(gradient)) = step.incoming.first() else {
                        return Ok(());
                    };
                    let mut at = 0;
                    $($(let $p: $pt = step.value::<$pt>(at); at += 1;)*)?
                    $(let $kept: $kt = step.value::<$kt>(at); at += 1;)*
                    $(expect(step.rule, gradient, &$sized)?;)?
                    if OP.forms.direct {
                        as_large_as_saved(step, gradient)?;
                    }
                    if const { false $($(|| is_index(&<$pt as ParamType>::KIND))*)? } {
                        step.unchanged(at)?;
                    }
                    $(
                        if step.needs(const { index_of(INPUTS, stringify!($gx)) }) {
                            let $g = gradient;
                            $(let $s = &step.saved(const { index_of(NAMES, stringify!($s)) })?;)*
                            let result: Var = $formula;
                            step.give(const { index_of(INPUTS, stringify!($gx)) }, result);
                        }
                    )*
                    Ok(())
                }

                fn tries() -> Vec<Sample> {
                    vec![$(Sample::new(vec![$($tx),*], vec![$($(IntoValue::value($tv)),*)?])),*]
                }
            }

            $(#[doc = $doc])*
            #[allow(dead_code, unused_mut, reason = "every row has its function, with or without arguments")]
            pub fn $name($($x: &$crate::graph::Var,)* $($($p: $pt),*)?) -> $crate::error::Result<$crate::graph::Var> {
                let mut values = smallvec::SmallVec::new();
                $($(values.push($crate::tensor::FromValue::into_value($p));)*)?
                $crate::ops::apply::single(&$name::OP, [$($x.input()),*], values)
            }
        )*

        /// The rows of this room.
        pub static ROWS: &[&$crate::ops::Op] = &[$(&$name::OP),*];
    };
}

/// Rows for functions of single elements: `cpu` is an expression over elements, `wgsl` the same in
/// WGSL, where operands are `a`, `b`, `c` and parameters `p0`, `p1`, …; where integers need another
/// text than floats, it follows after `or`. Where one expression is not the best loop, `cpu by` calls
/// a function over whole tensors, with numbers as elements of type `T`.
macro_rules! pointwise {
    ($(
        $(#[doc = $doc:literal])*
        $($form:ident)* : $name:ident($($x:ident),+ $(; $($p:ident : $pt:ident $(= $default:expr)?),*)?)
            -> $y:ident : $class:ident $(to $to:ident)? named $python:literal $(as $node:literal)?
        {
            $(check = $check:expr;)?
            cpu $how:tt $cpu:expr;
            wgsl = $wgsl:literal $(or $whole:literal)?;
            $(grad $gx:ident = |$g:ident $(, $s:ident)*| $formula:expr $(, $says:literal)?;)*
            try [$($tries:tt),* $(,)?];
        }
    )*) => {
        ops! {$(
            $(#[doc = $doc])*
            $($form)* direct : fn $name($($x),+ $(; $($p : $pt $(= $default)?),*)?)
                -> ($y) : $class named $python $(as $node)?
            {
                forward(out, inputs, values) = {
                    $({
                        let check: fn(&[Input], &[Value]) -> Result<()> = $check;
                        check(inputs, values)?;
                    })?
                    let (dtype, device) = same_kind($python, inputs)?;
                    // Operands that expand to each other were expanded before.
                    if const { !Forms { $($form: true,)* ..NO_FORMS }.broadcasts } {
                        same_sizes($python, inputs)?;
                    }
                    $($(ElementParam::check($p, $python, dtype)?;)*)?
                    let $y = out.make($python, (row_result!(dtype $(, $to)?), device), inputs[0].tensor.sizes())?;
                    if device == Device::Gpu {
                        const ROW: $crate::ops::device::Row = row_formula!($name $class [$($x)+] [$($($p)*)?] $wgsl $(, $whole)?);
                        $crate::ops::device::map($python, &ROW, &[$($x),+], &[$($(ElementParam::number($p)),*)?], &$y)?;
                    } else {
                        row_class!($class, dtype, $python, T => {
                            $($(let $p = ElementParam::element::<T>($p);)*)?
                            row_run!($how T, row_type!(T $(, $to)?), [$($x)+], $y, $cpu)
                        });
                    }
                    $y
                };
                $(grad $gx = |$g $(, $s)*| $formula $(, $says)?;)*
                try [$($tries),*];
            }
        )*}

        /// The formulas of this room.
        pub static FORMULAS: &[$crate::ops::device::Row] =
            &[$(row_formula!($name $class [$($x)+] [$($($p)*)?] $wgsl $(, $whole)?)),*];
    };
}

macro_rules! row_formula {
    ($name:ident $class:ident [$($x:ident)+] [$($p:ident)*] $float:literal) => {
        row_formula!($name $class [$($x)+] [$($p)*] $float, $float)
    };
    ($name:ident $class:ident [$($x:ident)+] [$($p:ident)*] $float:literal, $whole:literal) => {
        $crate::ops::device::Row::new(
            stringify!($name),
            $crate::ops::Class::$class,
            [$(stringify!($x)),+].len(),
            <[&str]>::len(&[$(stringify!($p)),*]),
            $float,
            $whole,
        )
    };
}

macro_rules! row_default {
    ($t:ty) => {
        None
    };
    ($t:ty, $default:expr) => {
        Some(|| FromValue::into_value(<$t>::from($default)))
    };
}

macro_rules! row_parts {
    () => {
        None
    };
    ($parts:expr) => {
        Some($parts)
    };
}

macro_rules! row_back {
    () => {
        None
    };
    ($($x:ident)+) => {
        Some(back)
    };
}

macro_rules! row_text {
    ($formula:expr) => {
        stringify!($formula)
    };
    ($formula:expr, $says:literal) => {
        $says
    };
}

macro_rules! row_result {
    ($dtype:ident) => {
        $dtype
    };
    ($dtype:ident, Byte) => {
        DType::U8
    };
}

macro_rules! row_type {
    ($t:ident) => {
        $t
    };
    ($t:ident, Byte) => {
        u8
    };
}

macro_rules! row_class {
    (Float, $dtype:ident, $op:literal, $t:ident => $body:expr) => {
        $crate::dispatch!(float $dtype, $op, $t => $body)
    };
    (Whole, $dtype:ident, $op:literal, $t:ident => $body:expr) => {
        $crate::dispatch!(whole $dtype, $op, $t => $body)
    };
    ($class:ident, $dtype:ident, $op:literal, $t:ident => $body:expr) => {{
        if !Class::$class.has($dtype) {
            return Err(not_signed($op, $dtype));
        }
        $crate::dispatch!($dtype, $t => $body)
    }};
}

// Closures are inlined by force: one left out of line would be compiled without SIMD.
macro_rules! row_run {
    (by $t:ident, $u:ty, [$($x:ident)+], $y:ident, $kernel:expr) => {
        $kernel
    };
    (= $t:ident, $u:ty, [$a:ident], $y:ident, $f:expr) => {
        $crate::cpu::map::map1::<$t, $u>(
            $a,
            &$y,
            #[inline(always)]
            |$a: $t| $f,
        )
    };
    (= $t:ident, $u:ty, [$a:ident $b:ident], $y:ident, $f:expr) => {
        $crate::cpu::map::map2::<$t, $t, $u>(
            $a,
            $b,
            &$y,
            #[inline(always)]
            |$a: $t, $b: $t| $f,
        )
    };
    (= $t:ident, $u:ty, [$a:ident $b:ident $c:ident], $y:ident, $f:expr) => {
        $crate::cpu::map::map3::<$t, $t, $t, $u>(
            $a,
            $b,
            $c,
            &$y,
            #[inline(always)]
            |$a: $t, $b: $t, $c: $t| $f,
        )
    };
}

/// What rows read.
pub mod prelude {
    pub use crate::cpu::math::Math;
    pub use crate::error::{Error, Result};
    pub use crate::graph::{Input, Rule, Step, Var};
    pub use crate::ops::sample::{IntoValue, Sample, bytes, longs, positive, sample, sample_in};
    pub use crate::ops::{Class, Forms, Formula, Kind, Made, Out, Param};
    pub use crate::tensor::dims::{Dims, wrap_dim};
    pub use crate::tensor::{DType, Device, Element, FromValue, Scalar, Tensor, Value, sizes_text};
    pub use smallvec::SmallVec;

    /// The start of every row's forms.
    pub const NO_FORMS: Forms = Forms {
        method: false,
        function: false,
        in_place: false,
        out: false,
        view: false,
        broadcasts: false,
        direct: false,
        list: false,
        number: false,
        expands_first: false,
        compares: false,
        host: false,
        updates: false,
        places: false,
    };

    /// Whether an argument of this kind is a tensor, whose version a node notes.
    pub const fn is_index(kind: &Kind) -> bool {
        matches!(kind, Kind::Tensor | Kind::OptionalTensor)
    }

    /// The place of `name` among `names`.
    pub const fn index_of(names: &[&str], name: &str) -> u32 {
        let mut i = 0;
        while i < names.len() {
            if same_text(names[i].as_bytes(), name.as_bytes()) {
                return i as u32;
            }
            i += 1;
        }
        panic!("a formula reads only operands and results by name")
    }

    const fn same_text(a: &[u8], b: &[u8]) -> bool {
        if a.len() != b.len() {
            return false;
        }
        let mut i = 0;
        while i < a.len() {
            if a[i] != b[i] {
                return false;
            }
            i += 1;
        }
        true
    }

    /// A Rust type of an argument, and what Python may give for it.
    pub trait ParamType {
        const KIND: Kind;
    }
    impl ParamType for bool {
        const KIND: Kind = Kind::Bool;
    }
    impl ParamType for i64 {
        const KIND: Kind = Kind::Int;
    }
    impl ParamType for f64 {
        const KIND: Kind = Kind::Float;
    }
    impl ParamType for Scalar {
        const KIND: Kind = Kind::Number;
    }
    impl ParamType for Dims {
        const KIND: Kind = Kind::Dims;
    }
    impl ParamType for Tensor {
        const KIND: Kind = Kind::Tensor;
    }
    impl ParamType for Option<Scalar> {
        const KIND: Kind = Kind::OptionalNumber;
    }
    impl ParamType for Option<Tensor> {
        const KIND: Kind = Kind::OptionalTensor;
    }

    /// An argument that elements are computed with.
    pub trait ElementParam: Copy {
        /// Fails for a fraction beside an integer class.
        fn check(self, op: &str, dtype: DType) -> Result<()>;
        /// As an element.
        fn element<T: Element>(self) -> T;
        /// As a number for the GPU.
        fn number(self) -> Scalar;
    }

    impl ElementParam for Scalar {
        #[inline(always)]
        fn check(self, op: &str, dtype: DType) -> Result<()> {
            Scalar::check(self, op, dtype)
        }
        #[inline(always)]
        fn element<T: Element>(self) -> T {
            self.to()
        }
        #[inline(always)]
        fn number(self) -> Scalar {
            self
        }
    }

    /// One result or several.
    pub trait IntoOutputs {
        fn outputs(self) -> SmallVec<[Tensor; 1]>;
    }
    impl IntoOutputs for Tensor {
        #[inline(always)]
        fn outputs(self) -> SmallVec<[Tensor; 1]> {
            let mut out = SmallVec::new();
            out.push(self);
            out
        }
    }
    impl IntoOutputs for (Tensor, Tensor, Tensor) {
        fn outputs(self) -> SmallVec<[Tensor; 1]> {
            SmallVec::from_iter([self.0, self.1, self.2])
        }
    }
    impl IntoOutputs for (Tensor, Tensor) {
        fn outputs(self) -> SmallVec<[Tensor; 1]> {
            SmallVec::from_iter([self.0, self.1])
        }
    }

    /// The class and place of all operands.
    ///
    /// # Errors
    /// `TypeError` when they differ.
    #[inline(always)]
    pub fn same_kind(op: &str, inputs: &[Input]) -> Result<(DType, Device)> {
        let kind = inputs[0].tensor.kind();
        for other in &inputs[1..] {
            if other.tensor.kind() != kind {
                crate::tensor::dtype::same(op, kind, other.tensor.kind())?;
            }
        }
        Ok(kind)
    }

    /// Fails unless all operands have one size, as kernels rely on.
    ///
    /// # Errors
    /// `RuntimeError` with both sizes.
    #[inline(always)]
    pub fn same_sizes(op: &str, inputs: &[Input]) -> Result<()> {
        let sizes = inputs[0].tensor.sizes();
        for other in &inputs[1..] {
            if other.tensor.sizes() != sizes {
                return Err(other_size(op, sizes, other.tensor.sizes()));
            }
        }
        Ok(())
    }

    #[cold]
    fn other_size(op: &str, sizes: &[i64], other: &[i64]) -> Error {
        Error::Runtime(format!(
            "{op}: operands must have one size; got {} and {}",
            sizes_text(sizes),
            sizes_text(other)
        ))
    }

    /// Fails unless `gradient` has the size of the result it is a gradient of.
    ///
    /// # Errors
    /// `RuntimeError` with both sizes.
    pub fn expect(rule: &Rule, gradient: &Var, sizes: impl AsRef<[i64]>) -> Result<()> {
        if gradient.sizes() == sizes.as_ref() {
            return Ok(());
        }
        Err(rule.misfit(sizes.as_ref(), gradient.sizes()))
    }

    /// [`expect`] for functions of single elements: their result is as large as what they keep.
    #[inline(always)]
    pub fn as_large_as_saved(step: &Step, gradient: &Var) -> Result<()> {
        match step.payload.saved.first() {
            Some(saved) if saved.tensor.sizes() != gradient.sizes() => {
                Err(step.rule.misfit(saved.tensor.sizes(), gradient.sizes()))
            }
            _ => Ok(()),
        }
    }

    /// The error for an op without the two classes of one byte.
    pub fn not_signed(op: &str, dtype: DType) -> Error {
        Error::Type(format!(
            "{op}: torch.{}Tensor does not implement it; convert with .int() or .float() first",
            dtype.name()
        ))
    }
}
