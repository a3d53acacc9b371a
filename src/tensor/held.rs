//! A tensor that can be replaced, and that several owners can hold together: a Variable and its
//! `.data` see each other's `resize_` and `set_`.

use super::storage::Tensor;
use crate::lock::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};

/// A tensor of one owner, or of several once it was shared.
#[derive(Debug, Clone)]
pub struct Held {
    /// The tensor, as it was when last looked at.
    tensor: Tensor,
    /// How often the shared place had changed then.
    seen: u32,
    place: Option<Arc<Place>>,
}

#[derive(Debug)]
struct Place {
    tensor: Mutex<Tensor>,
    /// Grows with every change, so that holders need the lock only after one.
    changes: AtomicU32,
}

impl From<Tensor> for Held {
    fn from(tensor: Tensor) -> Held {
        Held {
            tensor,
            seen: 0,
            place: None,
        }
    }
}

impl Held {
    /// The tensor as it is now.
    #[inline(always)]
    pub fn get(&mut self) -> Tensor {
        if let Some(place) = &self.place {
            let changes = place.changes.load(Acquire);
            if changes != self.seen {
                self.tensor = place.tensor.lock().clone();
                self.seen = changes;
            }
        }
        self.tensor.clone()
    }

    /// Whether somebody else may hold the place.
    pub fn is_shared(&self) -> bool {
        self.place.is_some()
    }

    /// Puts another tensor in its place, for all who hold it.
    pub fn set(&mut self, tensor: Tensor) {
        if let Some(place) = &self.place {
            *place.tensor.lock() = tensor.clone();
            place.changes.fetch_add(1, Release);
        }
        self.tensor = tensor;
    }

    /// A second holder of the same place.
    pub fn share(&mut self) -> Held {
        let tensor = self.get();
        if self.place.is_none() {
            self.place = Some(Arc::new(Place {
                tensor: Mutex::new(tensor),
                changes: AtomicU32::new(self.seen),
            }));
        }
        self.clone()
    }
}
