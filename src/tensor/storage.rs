//! A tensor: one counted block that holds geometry, version and, when small, the elements.
//!
//! Invariant: every element that sizes, strides and offset can reach lies inside the memory of the
//! root. `Tensor::build` is the only maker and checks it.

use super::alloc;
use super::dims::{self, Dims, sizes_text};
use super::dtype::{DType, Device, Element};
pub use super::layout::Layout;
use super::layout::Words;
use super::memory::{Kept, Memory, Owner, Part};
use crate::error::Result;
use crate::fail;
use std::any::Any;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering, Ordering::Relaxed};
use triomphe::ThinArc;

/// Elements up to this many bytes live in the tensor's own block.
const INLINE_BYTES: usize = 64;

const CONTIGUOUS: u8 = 1;
/// Counts versions for itself although it views another's memory.
pub(super) const OWN_VERSION: u8 = 2;
/// On a root: memory that cannot be resized, since NumPy or another owner has it too.
pub(super) const FIXED: u8 = 4;
/// A Variable counts its versions here.
pub(super) const CLAIMED: u8 = 8;
/// One dimension, row by row: the stride is 1 and not stored.
const SHORT: u8 = 16;
/// On a root: memory that other processes see.
pub(super) const SHARED: u8 = 32;
/// On a root: memory that must stay where it is, for somebody has its address.
pub(super) const PINNED: u8 = 64;

/// A tensor: a cheap handle to elements with a geometry. Clones are the same tensor.
#[derive(Clone)]
pub struct Tensor(pub(super) ThinArc<Header, Word>);

#[repr(transparent)]
pub(super) struct Word(UnsafeCell<i64>);

impl Word {
    #[inline(always)]
    fn new(value: i64) -> Word {
        Word(UnsafeCell::new(value))
    }
}

// SAFETY: sizes and strides are never written after `build`; the words behind them are elements,
// which are only touched through raw pointers, as memory shared with NumPy is.
unsafe impl Sync for Word {}

pub(super) struct Header {
    pub(super) place: Place,
    pub(super) version: AtomicU32,
    dtype: DType,
    device: Device,
    ndim: u8,
    pub(super) flags: AtomicU8,
}

/// Where the elements are.
pub(super) enum Place {
    /// In the words behind the geometry, until they outgrow them.
    Here(Next),
    Memory(Box<Memory>),
    /// In a run of another root's, as a storage that is a view of another has them.
    Part(Box<Part>),
    /// In this root's; the offset is the word behind the geometry.
    View(Tensor),
    /// In the first one's; the second counts versions.
    Family(Box<(Tensor, Tensor)>),
}

/// The root that has the elements now; none as long as they are where they were made. A pointer,
/// because tensors of eight bytes should not pay sixteen for it.
#[derive(Default)]
pub(super) struct Next(AtomicPtr<Tensor>);

impl Next {
    #[inline(always)]
    pub(super) fn get(&self) -> Option<&Tensor> {
        // SAFETY: `set` writes it once, from a box that `drop` takes back.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Sets it, unless another thread was faster, whose root then stays.
    pub(super) fn set(&self, root: Tensor) {
        let fresh = Box::into_raw(Box::new(root));
        let (null, order) = (std::ptr::null_mut(), Ordering::AcqRel);
        if self
            .0
            .compare_exchange(null, fresh, order, Relaxed)
            .is_err()
        {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

impl Drop for Next {
    #[inline(always)]
    fn drop(&mut self) {
        let root = *self.0.get_mut();
        if !root.is_null() {
            // SAFETY: from the box that `set` made; nobody else drops it.
            drop(unsafe { Box::from_raw(root) });
        }
    }
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
            return Ok(Self::root(
                dtype,
                sizes,
                bytes.div_ceil(8),
                Place::Here(Next::default()),
            ));
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
        Ok(Self::over(dtype, sizes, host, bytes, Owner::Block(block)))
    }

    /// One dimension of at most eight bytes: by far the most common small tensor.
    #[inline]
    fn tiny(dtype: DType, size: i64) -> Tensor {
        let header = Header {
            place: Place::Here(Next::default()),
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
    pub(super) fn over(
        dtype: DType,
        sizes: &[i64],
        host: *mut u8,
        bytes: usize,
        owner: Owner,
    ) -> Tensor {
        let memory = Memory::new(host, bytes, owner);
        Self::root(dtype, sizes, 0, Place::Memory(Box::new(memory)))
    }

    /// A row-major root with room for `inline` words of elements.
    pub(super) fn root(dtype: DType, sizes: &[i64], inline: usize, place: Place) -> Tensor {
        let device = match &place {
            Place::Memory(memory) if matches!(memory.owner, Owner::Device(_)) => Device::Gpu,
            Place::Part(part) => part.of.device(),
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
        let root = Self::over(dtype, &sizes, host, bytes, Owner::Foreign(Kept::new(keep)));
        root.pin();
        root.build(layout, 0)
    }

    /// A storage of `elements` over the start of a file: writing to it is writing to the file, unless
    /// `shared` is false, which keeps changes in this process. Its size is fixed.
    ///
    /// # Errors
    /// What the system says, and a file that is too short.
    pub fn mapped(
        dtype: DType,
        file: &std::fs::File,
        elements: usize,
        shared: bool,
    ) -> std::io::Result<Tensor> {
        let bytes = elements * dtype.bytes();
        if file.metadata()?.len() < bytes as u64 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        // The system has no mapping without a byte.
        let mut options = memmap2::MmapOptions::new();
        let options = options.len(bytes.max(1));
        let mut map = match (bytes, shared) {
            (0, _) => memmap2::MmapMut::map_anon(1)?,
            // SAFETY: elements are only touched through raw pointers, so that others may write them
            // at any time. Who cuts the file short gets a bus error, as in every program.
            (_, true) => unsafe { options.map_mut(file)? },
            // SAFETY: as above.
            (_, false) => unsafe { options.map_copy(file)? },
        };
        let host = map.as_mut_ptr();
        let owner = Owner::Foreign(Kept::new(Box::new(map)));
        let root = Self::over(dtype, &[elements as i64], host, bytes, owner);
        root.pin();
        Ok(root)
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
    pub(super) fn header(&self) -> &Header {
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
            Place::View(root) => root,
            Place::Family(both) => &both.0,
            _ => self,
        }
    }

    /// The bytes a root has room for.
    #[inline(always)]
    pub(super) fn root_bytes(&self) -> usize {
        let (next, own) = match &self.header().place {
            Place::Memory(memory) => (&memory.next, memory.bytes),
            Place::Here(next) => (next, self.numel() * self.dtype().bytes()),
            Place::Part(part) => return part.bytes,
            _ => return self.memory_root().root_bytes(),
        };
        match next.get() {
            None => own,
            Some(moved) => moved.root_bytes(),
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
            // SAFETY: as in `geometry`: the offset is never written.
            Place::View(_) | Place::Family(_) => unsafe {
                *self.0.slice[2 * self.ndim()].0.get() as usize
            },
            _ => 0,
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

    #[inline(always)]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.header().flags.load(Relaxed) & flag != 0
    }

    /// The address of the first element. Reading through it is the caller's responsibility; null
    /// for tensors that are not in host memory.
    #[inline(always)]
    pub fn ptr(&self) -> *mut u8 {
        let base = self.memory_root().base();
        base.wrapping_add(self.offset() * self.dtype().bytes())
    }

    /// Where a root's elements start.
    #[inline(always)]
    fn base(&self) -> *mut u8 {
        match &self.header().place {
            Place::Memory(memory) => match memory.next.get() {
                None => memory.host.load(Relaxed),
                Some(moved) => moved.moved_base(),
            },
            Place::Here(next) => match next.get() {
                None => {
                    let first = self.geometry().len();
                    self.0.slice[first..].as_ptr().cast_mut().cast()
                }
                Some(moved) => moved.moved_base(),
            },
            _ => self.moved_base(),
        }
    }

    #[cold]
    fn moved_base(&self) -> *mut u8 {
        match &self.header().place {
            Place::Part(part) => part.of.base().wrapping_add(part.at),
            Place::View(_) | Place::Family(_) => self.ptr(),
            _ => self.base(),
        }
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
                && (place as usize) < self.storage_room(),
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
