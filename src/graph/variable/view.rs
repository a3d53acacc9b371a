//! Variables that show a part of another: in-place changes of either are changes of both, and the
//! histories follow.

use super::Variable;
use crate::error::{Error, Result};
use crate::fail;
use crate::graph::site;
use crate::graph::switch::with_recording;
use crate::graph::var::Var;
use crate::tensor::Tensor;

/// What a view knows of the Variable it shows a part of.
#[derive(Debug)]
pub(super) struct View {
    pub(super) base: Variable,
    /// The family's version for which `history` is right.
    pub(super) seen: u32,
    /// None for the result of a user's function, whose way back cannot be made anew.
    remake: Option<Remake>,
    /// Made without recording from a base that had a gradient: it wants none, whatever the base does.
    apart: bool,
}

/// Reads a base's value with its history through the geometry of a view.
pub type Remake = fn(&Var, &Tensor) -> Result<Var>;

impl Variable {
    /// A view of `base` (or of what `base` is a view of); `remake` gives it a new history when the
    /// base got one.
    pub fn view_of(var: Var, base: &Variable, remake: Remake) -> Variable {
        Variable::new(var).with_base(base, Some(remake))
    }

    /// A result of a user's function that shares memory with `base`, its argument or another result:
    /// its history stays its own.
    pub fn sharing(self, base: &Variable) -> Variable {
        self.with_base(base, None)
    }

    fn with_base(self, base: &Variable, remake: Option<Remake>) -> Variable {
        let view = self;
        let root = base.base().unwrap_or_else(|| base.clone());
        let seen = view.tensor().version();
        let apart = !view.requires_grad() && !view.volatile() && root.requires_grad();
        view.0.state.lock().rare.get_or_insert_default().view = Some(View {
            base: root,
            seen,
            remake,
            apart,
        });
        view
    }

    /// Notes that another Variable, neither its base nor a part of it, shows some of its elements: a
    /// change in place of that one ends this one's use.
    pub fn meets_another(&self) {
        let mut state = self.0.state.lock();
        let version = state.held.get().version();
        state.rare.get_or_insert_default().met = Some(version);
    }

    /// Marks the history of a view as one to be made anew from its base, which requires grad now.
    pub fn outdate(&self) {
        self.0.state.lock().requires_grad = true;
    }

    /// The Variable this is a view of, while that has the same memory.
    pub fn base(&self) -> Option<Variable> {
        let base = self.noted_base()?;
        let same = base.tensor().shares_memory(&self.tensor());
        same.then_some(base)
    }

    /// The Variable this was made as a view of, and keeps.
    pub fn noted_base(&self) -> Option<Variable> {
        self.0.state.lock().view().map(|v| v.base.clone())
    }

    /// Whether it is a view whose history no read of the base could stand for.
    pub fn has_own_history(&self) -> bool {
        let state = self.0.state.lock();
        state.view().is_some_and(|view| view.remake.is_none())
    }

    /// Makes a view's history right again after an in-place op in its family.
    pub(super) fn refresh(&self) -> Result<()> {
        let (base, tensor, remake, apart) = {
            let mut state = self.0.state.lock();
            let Some(rare) = &state.rare else {
                return Ok(());
            };
            if rare.made.is_some() {
                drop(state);
                self.guard()?;
                state = self.0.state.lock();
            }
            let tensor = state.held.get();
            let met = state.rare.as_ref().and_then(|rare| rare.met);
            if met.is_some_and(|met| met != tensor.version()) && state.requires_grad {
                drop(state);
                return Err(Error::Runtime(
                    "a result of a Function shares some elements, not all, with an argument or another result that was changed in place since, which no gradient follows; give the Function, or change, a clone()".into(),
                )
                .about("result", tensor.family(), site::last_change(&tensor)));
            }
            let Some(view) = state.view() else {
                return Ok(());
            };
            if tensor.version() == view.seen || (state.volatile && !state.requires_grad) {
                return Ok(());
            }
            let Some(remake) = view.remake else {
                if !state.requires_grad {
                    return Ok(());
                }
                fail!(
                    Runtime,
                    "the result of a Function shares memory with an argument or another result that was changed in place since, and its backward knows nothing of the change; give the Function, or change, a clone()"
                );
            };
            (view.base.clone(), tensor, remake, view.apart)
        };
        let wants = self.requires_grad();
        if apart && !wants {
            return Ok(());
        }
        let from = base.var()?;
        if !base.tensor().shares_memory(&tensor) {
            if !wants && from.history.is_none() {
                return Ok(());
            }
            return Err(self.stale(
                "a view was made before the Variable that it shows was changed in place, and .data of that was replaced since",
                &base,
            ));
        }
        if from.history.is_none() && !from.volatile {
            if !wants {
                return Ok(());
            }
            return Err(self.stale(
                "a view was made before its base was changed in place and lost its history, which the view still has",
                &base,
            ));
        }
        if !wants {
            let how = match from.volatile {
                true => {
                    "a view was made before its base was changed in place and became volatile, which the view is not"
                }
                false => {
                    "a view was made before its base was changed in place by something that requires grad"
                }
            };
            return Err(self.stale(how, &base));
        }
        // Recorded also where nobody records: this history belongs to what was recorded before.
        let var = with_recording(true, || remake(&from, &tensor))?;
        self.rebase(var.history, from.volatile);
        Ok(())
    }

    /// The error for a view whose history cannot be made anew.
    #[cold]
    fn stale(&self, how: &str, base: &Variable) -> Error {
        let base = base.tensor();
        Error::Runtime(format!("{how}; make the view again after the change")).about(
            "base",
            base.family(),
            site::last_change(&base),
        )
    }
}
