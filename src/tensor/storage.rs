//! A tensor: one counted block that holds geometry, version and, when small, the elements.
//!
//! Invariant: every element that sizes, strides and offset can reach lies inside the memory of the
//! root. `Tensor::build` is the only maker and checks it.

use super::alloc::{self, Block};
use super::dims::{self, Dims, sizes_text};
use super::dtype::{DType, Device, Element};
pub use super::layout::Layout;
use super::layout::Words;
use crate::error::{Error, Result};
use crate::fail;
use parking_lot::Mutex;
use std::any::Any;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use triomphe::ThinArc;

/// Elements up to this many bytes live in the tensor's own block.
const INLINE_BYTES: usize = 64;

const CONTIGUOUS: u8 = 1;
/// Counts versions for itself although it views another's memory.
const OWN_VERSION: u8 = 2;
/// One dimension, row by row: the stride is 1 and not stored.
const SHORT: u8 = 16;
/// A Variable counts its versions here.
const CLAIMED: u8 = 8;
/// On a root: memory that cannot be resized, since NumPy or another owner has it too.
const FIXED: u8 = 4;

/// A tensor: a cheap handle to elements with a geometry. Clones are the same tensor.
#[derive(Clone)]
pub struct Tensor(ThinArc<Header, Word>);

#[repr(transparent)]
struct Word(UnsafeCell<i64>);

impl Word {
    #[inline(always)]
    fn new(value: i64) -> Word {
        Word(UnsafeCell::new(value))
    }
}

// SAFETY: sizes and strides are never written after `build`; the words behind them are elements,
// which are only touched through raw pointers, as memory shared with NumPy is.
unsafe impl Sync for Word {}

struct Header {
    place: Place,
    version: AtomicU32,
    dtype: DType,
    device: Device,
    ndim: u8,
    flags: AtomicU8,
}

/// Where the elements are.
enum Place {
    /// In the words behind the geometry.
    Here,
    Memory(Box<Memory>),
    /// In this root's; the offset is the word behind the geometry.
    View(Tensor),
    /// In the first one's; the second counts versions.
    Family(Box<(Tensor, Tensor)>),
}

/// The bytes of a root that does not hold them itself.
struct Memory {
    host: AtomicPtr<u8>,
    bytes: AtomicUsize,
    owner: Owner,
}

enum Owner {
    /// Ours, with earlier blocks that grew too small; those stay until the end, so that no
    /// pointer taken before a resize can dangle.
    Blocks(Mutex<Vec<Block>>),
    /// Somebody else's, alive as long as the value.
    Foreign(#[allow(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>),
    /// On a device: what the device layer made it of.
    Device(Box<dyn Any + Send + Sync>),
}

impl Tensor {
    /// An uninitialised row-major tensor on the CPU.
    ///
    /// # Errors
    /// `RuntimeError` for sizes that cannot be, `MemoryError` when there is no room.
    pub fn empty(op: &str, dtype: DType, sizes: &[i64]) -> Result<Tensor> {
        Self::fresh(op, dtype, sizes, false)
    }

    /// A row-major tensor of zeros on the CPU.
    pub fn zeros(op: &str, dtype: DType, sizes: &[i64]) -> Result<Tensor> {
        Self::fresh(op, dtype, sizes, true)
    }

    #[inline]
    fn fresh(op: &str, dtype: DType, sizes: &[i64], zeroed: bool) -> Result<Tensor> {
        if let &[size] = sizes
            && size as u64 <= 8
            && size as usize * dtype.bytes() <= 8
        {
            return Ok(Self::tiny(dtype, size));
        }
        let count = dims::count(op, sizes)?;
        let bytes = count * dtype.bytes();
        if bytes <= INLINE_BYTES {
            return Ok(Self::root(dtype, sizes, bytes.div_ceil(8), Place::Here));
        }
        let block = if zeroed {
            alloc::take_zeroed(bytes)
        } else {
            alloc::take(bytes)
        };
        let Ok(block) = block else {
            fail!(
                Memory,
                "{op}: no memory for {} ({bytes} bytes)",
                sizes_text(sizes)
            );
        };
        let host = block.as_mut_ptr();
        let owner = Owner::Blocks(Mutex::new(vec![block]));
        Ok(Self::over(dtype, sizes, host, bytes, owner))
    }

    /// One dimension of at most eight bytes: by far the most common small tensor.
    #[inline]
    fn tiny(dtype: DType, size: i64) -> Tensor {
        let header = Header {
            place: Place::Here,
            version: AtomicU32::new(0),
            dtype,
            device: Device::Cpu,
            ndim: 1,
            flags: AtomicU8::new(CONTIGUOUS | SHORT),
        };
        let words = [size, 0].map(Word::new);
        Tensor(ThinArc::from_header_and_iter(header, words.into_iter()))
    }

    /// A row-major root over `bytes` bytes of `owner`.
    fn over(dtype: DType, sizes: &[i64], host: *mut u8, bytes: usize, owner: Owner) -> Tensor {
        let memory = Memory {
            host: AtomicPtr::new(host),
            bytes: AtomicUsize::new(bytes),
            owner,
        };
        Self::root(dtype, sizes, 0, Place::Memory(Box::new(memory)))
    }

    /// A row-major root with room for `inline` words of elements.
    fn root(dtype: DType, sizes: &[i64], inline: usize, place: Place) -> Tensor {
        let device = match &place {
            Place::Memory(memory) if matches!(memory.owner, Owner::Device(_)) => Device::Gpu,
            _ => Device::Cpu,
        };
        let short = sizes.len() == 1;
        let strides = if short {
            Dims::new()
        } else {
            dims::row_major(sizes)
        };
        let header = Header {
            place,
            version: AtomicU32::new(0),
            dtype,
            device,
            ndim: sizes.len() as u8,
            flags: AtomicU8::new(CONTIGUOUS | if short { SHORT } else { 0 }),
        };
        let words = Words {
            sizes,
            strides: &strides,
            last: 0,
            rest: inline,
            at: 0,
        };
        Tensor(ThinArc::from_header_and_iter(header, words.map(Word::new)))
    }

    /// A tensor over bytes that `keep` keeps alive.
    ///
    /// # Safety
    /// `host` must point to `bytes` bytes, aligned for `dtype`, valid for reading and writing until
    /// `keep` is dropped.
    pub unsafe fn foreign(
        dtype: DType,
        layout: Layout,
        host: *mut u8,
        bytes: usize,
        keep: Box<dyn Any + Send + Sync>,
    ) -> Result<Tensor> {
        let sizes = [(bytes / dtype.bytes()) as i64];
        let root = Self::over(dtype, &sizes, host, bytes, Owner::Foreign(keep));
        root.fix();
        root.build(layout, 0)
    }

    /// A row-major tensor whose elements are on the device, in `memory`.
    pub fn on_device(
        op: &str,
        dtype: DType,
        sizes: &[i64],
        memory: Box<dyn Any + Send + Sync>,
    ) -> Result<Tensor> {
        let bytes = dims::count(op, sizes)? * dtype.bytes();
        let owner = Owner::Device(memory);
        Ok(Self::over(dtype, sizes, std::ptr::null_mut(), bytes, owner))
    }

    /// Another tensor on the same memory.
    ///
    /// # Errors
    /// `RuntimeError` when the geometry reaches outside the memory.
    pub fn with_layout(&self, layout: Layout) -> Result<Tensor> {
        self.build(layout, 0)
    }

    /// The same elements with a version count of their own, as `Variable(x.data)` has.
    pub fn with_own_version(&self) -> Tensor {
        let layout = Layout {
            sizes: Dims::from_slice(self.sizes()),
            strides: Dims::from_slice(self.strides()),
            offset: self.offset(),
        };
        self.build(layout, OWN_VERSION)
            .expect("the geometry was checked before")
    }

    fn build(&self, layout: Layout, flags: u8) -> Result<Tensor> {
        layout.check()?;
        let dtype = self.dtype();
        let root = self.memory_root();
        let room = root.root_bytes() / dtype.bytes();
        match layout.end() {
            Some(end) if end <= room => {}
            _ => fail!(
                Runtime,
                "a view of {} with strides {:?} from element {} reaches outside a storage of {room} elements",
                sizes_text(&layout.sizes),
                layout.strides.as_slice(),
                layout.offset
            ),
        }
        let contiguous = dims::is_contiguous(&layout.sizes, &layout.strides);
        let family = if flags & OWN_VERSION != 0 {
            None
        } else {
            self.version_family()
        };
        let root = root.clone();
        let header = Header {
            place: match family {
                None => Place::View(root),
                Some(family) => Place::Family(Box::new((root, family))),
            },
            version: AtomicU32::new(0),
            dtype,
            device: self.device(),
            ndim: layout.sizes.len() as u8,
            flags: AtomicU8::new(flags | if contiguous { CONTIGUOUS } else { 0 }),
        };
        let words = Words {
            sizes: &layout.sizes,
            strides: &layout.strides,
            last: layout.offset as i64,
            rest: 1,
            at: 0,
        };
        Ok(Tensor(ThinArc::from_header_and_iter(
            header,
            words.map(Word::new),
        )))
    }

    /// Who counts versions for a view of this; none when the root does.
    fn version_family(&self) -> Option<Tensor> {
        if self.has(OWN_VERSION) {
            return Some(self.clone());
        }
        match &self.header().place {
            Place::Family(both) => Some(both.1.clone()),
            _ => None,
        }
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        &self.0.header.header
    }

    /// The words before the elements of a root or the offset of a view.
    #[inline(always)]
    fn geometry(&self) -> &[i64] {
        let words = &self.0.slice;
        let count = if self.has(SHORT) { 1 } else { 2 * self.ndim() };
        // SAFETY: `Word` is a transparent cell of an i64; those of the geometry are never written.
        unsafe { std::slice::from_raw_parts(words[..count].as_ptr().cast(), count) }
    }

    /// The tensor that owns the memory.
    #[inline(always)]
    pub fn memory_root(&self) -> &Tensor {
        match &self.header().place {
            Place::Here | Place::Memory(_) => self,
            Place::View(root) => root,
            Place::Family(both) => &both.0,
        }
    }

    /// The bytes of a root.
    #[inline(always)]
    fn root_bytes(&self) -> usize {
        match &self.header().place {
            Place::Memory(memory) => memory.bytes.load(Relaxed),
            _ => self.numel() * self.dtype().bytes(),
        }
    }

    /// Sizes, outermost first.
    #[inline(always)]
    pub fn sizes(&self) -> &[i64] {
        &self.geometry()[..self.ndim()]
    }

    /// Steps in elements, outermost first.
    #[inline(always)]
    pub fn strides(&self) -> &[i64] {
        if self.has(SHORT) {
            return &[1];
        }
        &self.geometry()[self.ndim()..]
    }

    /// The first element's place in the storage.
    #[inline(always)]
    pub fn offset(&self) -> usize {
        match self.header().place {
            Place::Here | Place::Memory(_) => 0,
            // SAFETY: as in `geometry`: the offset is never written.
            _ => unsafe { *self.0.slice[2 * self.ndim()].0.get() as usize },
        }
    }

    /// The number of dimensions; 0 for an empty tensor.
    #[inline(always)]
    pub fn ndim(&self) -> usize {
        self.header().ndim as usize
    }

    /// The number of elements.
    #[inline(always)]
    pub fn numel(&self) -> usize {
        match self.sizes() {
            [] => 0,
            sizes => sizes.iter().product::<i64>() as usize,
        }
    }

    #[inline(always)]
    pub fn dtype(&self) -> DType {
        self.header().dtype
    }

    #[inline(always)]
    pub fn device(&self) -> Device {
        self.header().device
    }

    /// Class and place, for [`super::dtype::same`].
    #[inline(always)]
    pub fn kind(&self) -> (DType, Device) {
        (self.header().dtype, self.header().device)
    }

    /// Whether elements follow each other row by row (T-37).
    #[inline(always)]
    pub fn is_contiguous(&self) -> bool {
        self.has(CONTIGUOUS)
    }

    /// Whether the storage can grow.
    pub fn is_resizable(&self) -> bool {
        !self.memory_root().has(FIXED)
    }

    /// Forbids resizing from here on: somebody else looks at the memory (T-86).
    pub fn fix(&self) {
        self.memory_root().header().flags.fetch_or(FIXED, Relaxed);
    }

    #[inline(always)]
    fn has(&self, flag: u8) -> bool {
        self.header().flags.load(Relaxed) & flag != 0
    }

    /// Whether both use the same memory, at any place in it.
    pub fn shares_memory(&self, other: &Tensor) -> bool {
        self.memory_root().address() == other.memory_root().address()
    }

    /// Whether both are one tensor object.
    pub fn is(&self, other: &Tensor) -> bool {
        self.address() == other.address()
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self.header()) as usize
    }

    /// Elements the storage has room for.
    pub fn storage_len(&self) -> usize {
        self.memory_root().root_bytes() / self.dtype().bytes()
    }

    /// Whether no other handle, view or storage sees these elements, so they may be overwritten.
    pub fn is_unique(&self) -> bool {
        ThinArc::strong_count(&self.0) == 1
            && matches!(self.header().place, Place::Here | Place::Memory(_))
    }

    /// The in-place counter of the family: base, views and detached twins share it.
    #[inline(always)]
    pub fn version(&self) -> u32 {
        self.counter().load(Relaxed)
    }

    /// Takes the version counter for a Variable; tells whether nobody had it.
    pub fn claim(&self) -> bool {
        let flags = &self.memory_root().header().flags;
        // Looked at first: the locked instruction costs more than the rest of a small op's making.
        let seen = flags.load(Relaxed);
        if seen & CLAIMED != 0 {
            return false;
        }
        flags.store(seen | CLAIMED, Relaxed);
        true
    }

    /// Counts one in-place change.
    pub fn bump(&self) {
        self.counter().fetch_add(1, Relaxed);
    }

    #[inline(always)]
    pub(super) fn counter(&self) -> &AtomicU32 {
        let header = self.header();
        let counts = match &header.place {
            Place::View(root) if !self.has(OWN_VERSION) => root,
            Place::Family(both) => &both.1,
            _ => return &header.version,
        };
        &counts.header().version
    }

    /// The memory of the root, where it does not hold the elements itself.
    #[inline(always)]
    fn memory(&self) -> Option<&Memory> {
        match &self.memory_root().header().place {
            Place::Memory(memory) => Some(memory),
            _ => None,
        }
    }

    /// What the device layer keeps for this tensor's memory; none on the CPU.
    pub fn device_memory(&self) -> Option<&(dyn Any + Send + Sync)> {
        match &self.memory()?.owner {
            Owner::Device(memory) => Some(memory.as_ref()),
            _ => None,
        }
    }

    /// The address of the first element. Reading through it is the caller's responsibility; null
    /// for tensors that are not in host memory.
    #[inline(always)]
    pub fn ptr(&self) -> *mut u8 {
        let root = self.memory_root();
        let base = match &root.header().place {
            Place::Memory(memory) => memory.host.load(Relaxed),
            _ => {
                let first = root.geometry().len();
                root.0.slice[first..].as_ptr().cast_mut().cast()
            }
        };
        base.wrapping_add(self.offset() * self.dtype().bytes())
    }

    /// Gives the storage room for `elements`, keeping what it holds (`resize_`, T-41).
    ///
    /// # Errors
    /// `RuntimeError` when the memory belongs to somebody else, `MemoryError` without room.
    pub fn grow(&self, op: &str, elements: usize) -> Result<()> {
        let bytes = elements.checked_mul(self.dtype().bytes()).ok_or_else(|| {
            Error::Memory(format!(
                "{op}: {elements} elements are more than memory can hold"
            ))
        })?;
        let old = self.memory_root().root_bytes();
        if bytes <= old {
            return Ok(());
        }
        if !self.is_resizable() {
            fail!(
                Runtime,
                "{op}: the storage is not resizable: its {old} bytes belong to NumPy or are shared; clone() the tensor first"
            );
        }
        let Ok(block) = alloc::take_zeroed(bytes) else {
            fail!(Memory, "{op}: no memory for {bytes} bytes");
        };
        let to = block.as_mut_ptr();
        match self.memory() {
            Some(Memory {
                host,
                bytes: room,
                owner: Owner::Blocks(blocks),
            }) => {
                let mut blocks = blocks.lock();
                // SAFETY: both blocks are at least `old` bytes and are different blocks.
                unsafe { std::ptr::copy_nonoverlapping(host.load(Relaxed), to, old) };
                host.store(to, Relaxed);
                room.store(bytes, Relaxed);
                blocks.push(block);
                Ok(())
            }
            _ => fail!(
                Runtime,
                "{op}: this storage cannot grow in place; it holds {old} bytes"
            ),
        }
    }

    /// Whether [`Tensor::grow`] can work in place; small tensors and device memory are replaced.
    pub fn grows_in_place(&self) -> bool {
        self.memory()
            .is_some_and(|memory| matches!(memory.owner, Owner::Blocks(_)))
    }

    /// A one-dimensional tensor with these elements.
    pub fn from_slice<T: Element>(values: &[T]) -> Result<Tensor> {
        let sizes = if values.is_empty() {
            Dims::new()
        } else {
            Dims::from_slice(&[values.len() as i64])
        };
        let tensor = Tensor::empty("tensor", T::DTYPE, &sizes)?;
        // SAFETY: a fresh contiguous tensor of exactly `values.len()` elements of type `T`.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr(), tensor.ptr().cast(), values.len())
        };
        Ok(tensor)
    }

    /// The element at an element offset from the first one, as stored.
    ///
    /// # Panics
    /// Outside the storage, on another element type, or off the CPU.
    pub fn read<T: Element>(&self, at: i64) -> T {
        // SAFETY: `place` checks type, device and range.
        unsafe { self.place::<T>(at).read() }
    }

    /// Writes the element at an element offset from the first one.
    ///
    /// # Panics
    /// As [`Tensor::read`].
    pub fn write<T: Element>(&self, at: i64, value: T) {
        // SAFETY: `place` checks type, device and range.
        unsafe { self.place::<T>(at).write(value) }
    }

    fn place<T: Element>(&self, at: i64) -> *mut T {
        let place = self.offset() as i64 + at;
        assert!(
            T::DTYPE == self.dtype()
                && self.device() == Device::Cpu
                && place >= 0
                && (place as usize) < self.storage_len(),
            "element {at} of a {:?} tensor",
            self.dtype()
        );
        self.ptr().cast::<T>().wrapping_offset(at as isize)
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}[{}]", self.dtype(), sizes_text(self.sizes()))
    }
}
