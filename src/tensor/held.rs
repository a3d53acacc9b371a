//! A tensor that can be replaced, and that several owners can hold together: a Variable and its
//! `.data` see each other's `resize_` and `set_`.

use super::storage::Tensor;
use parking_lot::Mutex;
use std::sync::Arc;

/// A tensor of one owner, or of several once it was shared.
#[derive(Debug, Clone)]
pub enum Held {
    Own(Tensor),
    Shared(Arc<Mutex<Tensor>>),
}

impl Held {
    /// The tensor as it is now.
    #[inline(always)]
    pub fn get(&self) -> Tensor {
        match self {
            Held::Own(tensor) => tensor.clone(),
            Held::Shared(shared) => shared.lock().clone(),
        }
    }

    /// Puts another tensor in its place, for all who hold it.
    pub fn set(&mut self, tensor: Tensor) {
        match self {
            Held::Own(own) => *own = tensor,
            Held::Shared(shared) => *shared.lock() = tensor,
        }
    }

    /// A second holder of the same place.
    pub fn share(&mut self) -> Held {
        if let Held::Own(tensor) = self {
            *self = Held::Shared(Arc::new(Mutex::new(tensor.clone())));
        }
        self.clone()
    }
}
