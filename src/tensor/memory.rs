//! The memory of roots: whose it is, how much of it a storage shows, and how it moves.
//!
//! Memory that moves leaves the old place in peace: its root points to the one that has the
//! elements from then on, so that whoever holds the root follows, and no address taken before
//! dangles as long as the root lives.

use super::alloc::Block;
use super::dtype::Device;
use super::storage::{FIXED, Layout, Next, PINNED, Place, SHARED, Tensor};
use crate::error::Result;
use crate::fail;
use std::any::Any;
use std::cell::RefCell;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// The bytes of a root that does not hold them itself.
pub(super) struct Memory {
    pub host: AtomicPtr<u8>,
    pub bytes: usize,
    /// The bytes that the storage shows; the room is never given back.
    shown: AtomicUsize,
    pub next: Next,
    pub owner: Owner,
}

impl Memory {
    pub fn new(host: *mut u8, bytes: usize, owner: Owner) -> Memory {
        Memory {
            host: AtomicPtr::new(host),
            bytes,
            shown: AtomicUsize::new(bytes),
            next: Next::default(),
            owner,
        }
    }
}

/// What keeps the bytes.
pub(super) enum Owner {
    Block(Block),
    /// Somebody else's, alive as long as the value.
    Foreign(Kept),
    /// On a device: what the device layer made it of.
    Device(Box<dyn Any + Send + Sync>),
}

/// What a root keeps alive for others' sake, and lets go without a deep stack: it may be the last
/// owner of a tensor that keeps the next, as an array of a tensor of an array does.
pub(super) struct Kept(Option<Held>);

type Held = Box<dyn Any + Send + Sync>;

thread_local! {
    /// What waits for its turn while this thread lets go of something; none while it does not.
    static WAITING: RefCell<Option<Vec<Held>>> = const { RefCell::new(None) };
}

impl Kept {
    pub fn new(value: Held) -> Kept {
        Kept(Some(value))
    }

    fn get(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.0.as_deref()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut turn = self.0.take();
        let queued = WAITING.try_with(|waiting| match &mut *waiting.borrow_mut() {
            Some(queue) => {
                queue.extend(turn.take());
                true
            }
            none => {
                *none = Some(Vec::new());
                false
            }
        });
        // A thread that ends has no queue any more.
        if queued != Ok(false) {
            return;
        }
        let _end = End;
        while let Some(value) = turn {
            // The queue is not borrowed here: dropping the value may come back for it.
            drop(value);
            turn = WAITING.with(|waiting| waiting.borrow_mut().as_mut().and_then(Vec::pop));
        }
    }
}

/// Ends the turn, after a panic as well.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        let rest = WAITING.with(|waiting| waiting.borrow_mut().take());
        drop(rest);
    }
}

/// A run of bytes in the memory of another root, which is no part itself.
pub(super) struct Part {
    pub of: Tensor,
    pub at: usize,
    pub bytes: usize,
}

impl Tensor {
    /// The root that has the elements of a root, and where they start in it, in bytes.
    fn home(&self) -> (&Tensor, usize) {
        let (mut root, mut at) = (self.memory_root(), 0);
        loop {
            let moved = match &root.header().place {
                Place::Here(next) => next.get(),
                Place::Memory(memory) => memory.next.get(),
                Place::Part(part) => {
                    at += part.at;
                    Some(part.of.memory_root())
                }
                Place::View(_) | Place::Family(_) => Some(root.memory_root()),
            };
            match moved {
                Some(moved) => root = moved,
                None => return (root, at),
            }
        }
    }

    /// Whether the storage can grow.
    pub fn is_resizable(&self) -> bool {
        !self.memory_root().has(FIXED)
    }

    /// Forbids resizing from here on: somebody else looks at the memory (T-86).
    pub fn fix(&self) {
        self.whole().flag(FIXED);
        self.memory_root().flag(FIXED);
    }

    /// Forbids moving and resizing for good: somebody else has the memory, or its address.
    pub fn pin(&self) {
        self.fix();
        self.whole().flag(PINNED);
    }

    /// Whether the memory must stay where it is.
    pub fn is_pinned(&self) -> bool {
        self.whole().has(PINNED)
    }

    /// Whether other processes see the memory (T-120).
    pub fn is_shared(&self) -> bool {
        self.whole().has(SHARED)
    }

    /// The storage that this one is a part of; itself where it is none.
    pub fn whole(&self) -> &Tensor {
        match &self.memory_root().header().place {
            Place::Part(part) => part.of.memory_root(),
            _ => self.memory_root(),
        }
    }

    /// The first element of a storage in the one that it is a part of; none where it is none.
    pub fn part_start(&self) -> Option<usize> {
        match &self.memory_root().header().place {
            Place::Part(part) => Some(part.at / self.dtype().bytes()),
            _ => None,
        }
    }

    /// A number for the place of the elements, which it has as long as they do not move.
    pub fn home_address(&self) -> usize {
        self.home().0.address()
    }

    /// Calls `each` with the blocks that the elements were in before they moved.
    pub(super) fn with_left_blocks(&self, each: impl Fn(&Block)) {
        let mut root = self.whole();
        loop {
            let next = match &root.header().place {
                Place::Here(next) => next.get(),
                Place::Memory(memory) => match (memory.next.get(), &memory.owner) {
                    (Some(next), Owner::Block(block)) => {
                        each(block);
                        Some(next)
                    }
                    (next, _) => next,
                },
                _ => None,
            };
            match next {
                Some(next) => root = next,
                None => return,
            }
        }
    }

    /// What is kept alive for the memory's sake.
    pub(super) fn kept(&self) -> Option<&(dyn Any + Send + Sync)> {
        match &self.home().0.header().place {
            Place::Memory(memory) => match &memory.owner {
                Owner::Foreign(kept) => kept.get(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Marks the memory as seen by other processes, which keeps its size.
    pub fn fix_shared(&self) {
        self.memory_root().flag(FIXED | SHARED);
    }

    fn flag(&self, flags: u8) {
        self.header().flags.fetch_or(flags, Relaxed);
    }

    /// Whether both use the same memory, at any place in it.
    pub fn shares_memory(&self, other: &Tensor) -> bool {
        self.memory_root().address() == other.memory_root().address()
            || self.home().0.address() == other.home().0.address()
    }

    /// Whether both are one tensor object.
    pub fn is(&self, other: &Tensor) -> bool {
        self.address() == other.address()
    }

    /// A number for the tensor object, its own as long as it lives.
    pub fn address(&self) -> usize {
        std::ptr::from_ref(self.header()) as usize
    }

    /// Elements the storage has room for.
    pub fn storage_room(&self) -> usize {
        self.memory_root().root_bytes() / self.dtype().bytes()
    }

    /// Elements the storage shows.
    pub fn storage_len(&self) -> usize {
        let root = self.memory_root();
        let bytes = match &root.header().place {
            Place::Part(part) => part.bytes,
            _ => match &root.home().0.header().place {
                Place::Memory(memory) => memory.shown.load(Relaxed),
                _ => root.root_bytes(),
            },
        };
        bytes / self.dtype().bytes()
    }

    /// Lets the storage show `elements` of the room it has.
    ///
    /// # Panics
    /// Beyond the room, and on what has no length of its own.
    pub fn show(&self, elements: usize) {
        let bytes = elements * self.dtype().bytes();
        match &self.home().0.header().place {
            Place::Memory(memory) if bytes <= memory.bytes => memory.shown.store(bytes, Relaxed),
            _ => assert_eq!(elements, self.storage_len(), "a length beyond the room"),
        }
    }

    /// Whether [`Tensor::show`] can set every length up to the room.
    pub fn has_length(&self) -> bool {
        matches!(self.home().0.header().place, Place::Memory(_))
    }

    /// Lets everybody who holds this storage find its elements in `fresh`, which has them already and
    /// which nobody else has.
    ///
    /// # Errors
    /// `RuntimeError` for a view of another storage.
    ///
    /// # Panics
    /// When `fresh` is no storage of its own, or too small for what was made on this one.
    pub fn move_to(&self, fresh: &Tensor) -> Result<()> {
        let (root, fresh) = (self.memory_root(), fresh.memory_root());
        assert!(
            root.kind() == fresh.kind() && fresh.root_bytes() >= root.root_bytes(),
            "a storage can move to a larger one of its kind only"
        );
        if matches!(root.header().place, Place::Part(_)) {
            fail!(
                Runtime,
                "a storage that is a view of another cannot move by itself; use the whole storage, or clone() it"
            );
        }
        let (home, _) = root.home();
        assert!(!home.is(fresh), "a storage moves to itself");
        match &home.header().place {
            Place::Here(next) => next.set(fresh.clone()),
            Place::Memory(memory) => memory.next.set(fresh.clone()),
            _ => unreachable!("a home is a root"),
        }
        root.flag(fresh.header().flags.load(Relaxed) & (FIXED | SHARED));
        Ok(())
    }

    /// A storage of its own that shows `length` elements of this tensor's from element `at` on.
    ///
    /// # Errors
    /// `RuntimeError` outside what the storage shows.
    pub fn part(&self, at: usize, length: usize) -> Result<Tensor> {
        let have = self.storage_len();
        if at > have || length > have - at {
            fail!(
                Runtime,
                "a view of {length} elements from {at} on reaches outside a storage of {have} elements"
            );
        }
        if self.device() == Device::Gpu {
            fail!(
                Runtime,
                "there are no views of storages on the GPU; make a tensor of it and narrow() that"
            );
        }
        let width = self.dtype().bytes();
        let (of, start) = match &self.memory_root().header().place {
            Place::Part(part) => (&part.of, part.at),
            _ => (self.memory_root(), 0),
        };
        let part = Part {
            of: of.clone(),
            at: start + at * width,
            bytes: length * width,
        };
        let root = Tensor::root(
            self.dtype(),
            &[length as i64],
            0,
            Place::Part(Box::new(part)),
        );
        root.flag(FIXED);
        Ok(root)
    }

    /// All that the storage shows, as one dimension.
    pub fn flat(&self) -> Result<Tensor> {
        self.memory_root()
            .with_layout(Layout::row_major(&[self.storage_len() as i64]))
    }

    /// Whether no other handle, view or storage sees these elements, so they may be overwritten.
    pub fn is_unique(&self) -> bool {
        triomphe::ThinArc::strong_count(&self.0) == 1
            && matches!(self.header().place, Place::Here(_) | Place::Memory(_))
            && !self.has(SHARED)
    }

    /// Whether no other handle or view sees these elements: unique, or the only view of its root.
    pub fn is_alone(&self) -> bool {
        match &self.header().place {
            Place::View(root) => triomphe::ThinArc::strong_count(&self.0) == 1 && root.is_unique(),
            _ => self.is_unique(),
        }
    }

    /// What the device layer keeps for this tensor's memory; none on the CPU.
    pub fn device_memory(&self) -> Option<&(dyn Any + Send + Sync)> {
        match &self.home().0.header().place {
            Place::Memory(memory) => match &memory.owner {
                Owner::Device(memory) => Some(memory.as_ref()),
                _ => None,
            },
            _ => None,
        }
    }
}
