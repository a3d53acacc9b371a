//! Memory that several processes map. Each has a number, by which its storage is found again as long
//! as it lives in this process: memory that arrives twice, or comes home, is one storage.
//!
//! Invariant: a storage in [`KNOWN`] is allocated. It holds its mapping, alone or through the one it
//! moved from, and the mapping takes the entry out when it is dropped.

use super::dtype::DType;
use super::memory::{Kept, Owner};
use super::storage::{Header, Tensor, Word};
use crate::lock::plain::{Mutex, MutexGuard};
use memmap2::{MmapMut, MmapOptions};
use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, Ordering::Relaxed};
use triomphe::ThinArc;

/// What the system calls a file that is open: a descriptor, on Windows a handle.
pub type Open = isize;

/// A mapping, known to all who have the same memory by its number.
pub(super) struct Shared {
    number: u64,
    /// Which of the mappings that this process made it is.
    serial: u64,
    #[allow(dead_code, reason = "held for its drop, before that of `keep`")]
    map: MmapMut,
    keep: Box<dyn Any + Send + Sync>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut known = KNOWN.lock();
        if (known.get(&self.number)).is_some_and(|entry| entry.serial == self.serial) {
            known.remove(&self.number);
        }
    }
}

/// A storage that may be on its way out: its last handle gone, its mapping not yet.
struct Entry {
    serial: u64,
    root: AtomicPtr<c_void>,
}

static KNOWN: Mutex<BTreeMap<u64, Entry>> = Mutex::new(BTreeMap::new());

impl Entry {
    fn new(serial: u64, root: &Tensor) -> Entry {
        Entry {
            serial,
            root: AtomicPtr::new(root.0.as_ptr().cast_mut()),
        }
    }

    /// A handle of the storage, unless its last one is gone.
    fn handle(&self) -> Option<Tensor> {
        let root = self.root.load(Relaxed).cast_const();
        // SAFETY: the block is allocated as long as the entry is in the list, which the caller has
        // locked. It begins with the count of its handles; `the_count_comes_first` checks that.
        let count = unsafe { &*root.cast::<AtomicUsize>() };
        let more = |have: usize| (have > 0).then(|| have + 1);
        count.fetch_update(Ordering::Acquire, Relaxed, more).ok()?;
        // SAFETY: from `as_ptr` of a handle of this type, with a count that is this one's.
        Some(Tensor(unsafe { ThinArc::<Header, Word>::from_raw(root) }))
    }
}

/// The storage on the memory of this number, if this process has it.
pub fn known(number: u64) -> Option<Tensor> {
    KNOWN.lock().get(&number).and_then(Entry::handle)
}

/// Keeps the list still, so that a process can fork; to be held across the fork on both sides.
pub struct Hold(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, Known>);

type Known = BTreeMap<u64, Entry>;

/// Waits until no thread is inside the list.
pub fn hold() -> Hold {
    Hold(KNOWN.lock())
}

impl Tensor {
    /// A storage of `elements` on the start of an open file that other processes map too; without
    /// elements the file is not looked at. `keep` is dropped after the mapping. Nobody finds it by
    /// its number before [`Tensor::announce`].
    ///
    /// # Errors
    /// What the system says.
    pub fn shared(
        dtype: DType,
        elements: usize,
        file: Open,
        number: u64,
        keep: Box<dyn Any + Send + Sync>,
    ) -> std::io::Result<Tensor> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let bytes = elements * dtype.bytes();
        #[cfg(unix)]
        let file = file as std::os::fd::RawFd;
        #[cfg(windows)]
        let file = file as std::os::windows::io::RawHandle;
        let mut map = match bytes {
            // The system has no mapping without a byte.
            0 => MmapMut::map_anon(1)?,
            // SAFETY: elements are only touched through raw pointers, so that others may write them
            // at any time. Who cuts the file short gets a bus error, as in every program.
            _ => unsafe { MmapOptions::new().len(bytes).map_mut(file)? },
        };
        let host = map.as_mut_ptr();
        let shared = Shared {
            number,
            serial: SERIAL.fetch_add(1, Relaxed),
            map,
            keep,
        };
        let owner = Owner::Foreign(Kept::new(Box::new(shared)));
        let root = Tensor::over(dtype, &[elements as i64], host, bytes, owner);
        root.fix_shared();
        Ok(root)
    }

    /// Gives the system the pages that the elements of this storage were on before they moved; who
    /// still had their address would read zeros. A block is not freed before its storage is.
    pub fn give_left_pages(&self) {
        #[cfg(unix)]
        self.with_left_blocks(|block| {
            if let Some(map) = block.mapping() {
                // SAFETY: nobody has a reference to the elements of a block, and its owner may expect
                // any values in it. Where the system refuses, nothing is lost but memory.
                let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            }
        });
    }

    /// The mapping under this storage.
    fn mapping(&self) -> Option<&Shared> {
        self.kept()?.downcast_ref()
    }

    /// The number of shared memory, and what was given to be kept with it.
    pub fn shared_number(&self) -> Option<(u64, &(dyn Any + Send + Sync))> {
        let shared = self.mapping()?;
        Some((shared.number, shared.keep.as_ref()))
    }

    /// Lets [`known`] find this storage by the number of its memory, or gives the one that another
    /// thread announced before. What was moved to shared memory is announced by the storage that
    /// moved, which alone has the new one.
    ///
    /// # Panics
    /// On memory that is not shared.
    pub fn announce(&self) -> Tensor {
        let root = self.memory_root();
        let shared = root.mapping().expect("the memory is shared");
        let mut list = KNOWN.lock();
        if let Some(first) = list.get(&shared.number).and_then(Entry::handle) {
            return first;
        }
        list.insert(shared.number, Entry::new(shared.serial, root));
        root.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_comes_first() {
        let one = Tensor::zeros("test", DType::F32, &[2, 3]).unwrap();
        // SAFETY: the handle is alive, and an `AtomicUsize` may be looked at by anybody.
        let count = unsafe { &*one.0.as_ptr().cast::<AtomicUsize>() };
        assert_eq!(count.load(Relaxed), 1);
        let more = vec![one.clone(); 6];
        assert_eq!(count.load(Relaxed), 7);
        assert_eq!(ThinArc::strong_count(&one.0), 7);
        drop(more);
        let again = Entry::new(0, &one).handle().unwrap();
        assert!(again.is(&one) && ThinArc::strong_count(&one.0) == 2);
    }
}
