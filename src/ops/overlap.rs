//! Views that show an element more than once: expanded dimensions, windows that overlap.

use super::{copy, device, index, shape};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::{Dims, Tensor};

/// Whether two places of such a view may be the same element.
pub fn repeats(sizes: &[i64], strides: &[i64]) -> bool {
    let mut steps: smallvec::SmallVec<[(i64, i64); 6]> = (sizes.iter().zip(strides))
        .filter(|&(&size, _)| size > 1)
        .map(|(&size, &stride)| (stride, size))
        .collect();
    steps.sort_unstable();
    // Each stride must step over everything that the smaller ones reach.
    let mut reach = 0;
    for &(stride, size) in &steps {
        if stride <= reach {
            return !differ(&steps);
        }
        reach += (size - 1) * stride;
    }
    false
}

/// Whether all places of a view whose strides do not nest are different elements, as those of sizes 2
/// and 3 with strides 3 and 2 are: found by walking them. Views that reach too far count as repeating.
fn differ(steps: &[(i64, i64)]) -> bool {
    const FAR: i64 = 1 << 26;
    let count: i64 = steps.iter().map(|&(_, size)| size).product();
    let reach: i64 = steps.iter().map(|&(step, size)| (size - 1) * step).sum();
    if count > reach + 1 || reach >= FAR {
        return false;
    }
    let mut seen = vec![0u64; reach as usize / 64 + 1];
    (0..count).all(|i| {
        let (mut rest, mut place) = (i, 0);
        for &(step, size) in steps {
            place += rest % size * step;
            rest /= size;
        }
        let bit = 1 << (place % 64);
        let word = &mut seen[place as usize / 64];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    })
}

/// Which of these tensors of one memory show an element that another of them shows. Where that is too
/// far to walk, those whose ends overlap count.
pub fn meeting(tensors: &[&Tensor]) -> Vec<bool> {
    const FAR: usize = 1 << 26;
    let ends = |t: &Tensor| (t.offset(), t.offset() + t.reach());
    let mut meets = vec![false; tensors.len()];
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_unstable_by_key(|&i| ends(tensors[i]));
    // One behind the last element of all before, and whose that is.
    let mut last = (0, None);
    for &i in &order {
        let (from, until) = ends(tensors[i]);
        if let (end, Some(other)) = last
            && from < end.min(until)
        {
            meets[i] = true;
            meets[other] = true;
        }
        if until > last.0 {
            last = (until, Some(i));
        }
    }
    if !meets.contains(&true) || last.0 - ends(tensors[order[0]]).0 > FAR {
        return meets;
    }
    // Their ends overlap, as those of two columns of a matrix do: their elements decide.
    let first = ends(tensors[order[0]]).0;
    let mut owners = vec![u32::MAX; last.0 - first];
    let mut meets = vec![false; tensors.len()];
    for (i, tensor) in tensors.iter().enumerate() {
        each_place(tensor, |place| {
            let owner = &mut owners[place - first];
            match *owner {
                u32::MAX => *owner = i as u32,
                other if other != i as u32 => {
                    meets[other as usize] = true;
                    meets[i] = true;
                }
                _ => {}
            }
        });
    }
    meets
}

/// Calls `f` with the place in memory of each element; one that is repeated comes once a dimension.
fn each_place(tensor: &Tensor, mut f: impl FnMut(usize)) {
    let steps: smallvec::SmallVec<[(usize, usize); 6]> = (tensor.sizes().iter())
        .zip(tensor.strides())
        .filter(|&(&size, &stride)| size != 1 && stride != 0)
        .map(|(&size, &stride)| (stride as usize, size as usize))
        .collect();
    if tensor.numel() == 0 {
        return;
    }
    let count: usize = steps.iter().map(|&(_, size)| size).product();
    for i in 0..count {
        let (mut rest, mut place) = (i, tensor.offset());
        for &(step, size) in &steps {
            place += rest % size * step;
            rest /= size;
        }
        f(place);
    }
}

/// The gradient of a tensor of sizes `to` and strides `own` from that of a view with `strides` that
/// begins `offset` elements later: what belongs to one element is added up.
pub fn add_strided(g: &Var, to: &Dims, own: &[i64], strides: &[i64], offset: i64) -> Result<Var> {
    let reach = |sizes: &[i64], strides: &[i64]| -> i64 {
        let last = sizes.iter().zip(strides).map(|(n, s)| (n - 1).max(0) * s);
        last.sum::<i64>() + 1
    };
    let room = reach(to, own).max(offset + reach(g.sizes(), strides));
    let places: Vec<i64> = (0..room).collect();
    let places = Tensor::from_slice(&places)?.as_strided(g.sizes(), strides, offset)?;
    let count = g.tensor.numel() as i64;
    let mut places = copy::contiguous_copy(&places)?.view(&[count])?;
    if g.tensor.device() == crate::tensor::Device::Gpu {
        places = device::to_gpu(&places)?;
    }
    let flat = shape::reshape(g, &Dims::from_slice(&[count]))?;
    let sums = index::unselect(&flat, 0, places, Dims::from_slice(&[room]))?;
    let shown = shape::as_strided(&sums, to.clone(), Dims::from_slice(own), 0)?;
    if !repeats(to, own) {
        return copy::contiguous(&shown);
    }
    // Where an element shows at several places, the first of them gets all: they are added up
    // again on the way back to what it is an element of.
    let mut first = first_places(to, own, room)?;
    if g.tensor.device() == crate::tensor::Device::Gpu {
        first = device::to_gpu(&first)?;
    }
    index::keep(&shown, first)
}

/// One where a place of the geometry is the first to show its element, of `room` elements.
fn first_places(sizes: &[i64], strides: &[i64], room: i64) -> Result<Tensor> {
    let places: Vec<i64> = (0..room).collect();
    let places = Tensor::from_slice(&places)?.as_strided(sizes, strides, 0)?;
    let places = copy::contiguous_copy(&places)?;
    let mut seen = vec![false; room as usize];
    let first: Vec<u8> = (0..places.numel() as i64)
        .map(|i| {
            let seen = &mut seen[places.read::<i64>(i) as usize];
            u8::from(!std::mem::replace(seen, true))
        })
        .collect();
    Tensor::from_slice(&first)?.view(sizes)
}
