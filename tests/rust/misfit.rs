//! Gradients of another size than the result has: no formula takes one for right, none reads
//! outside.

use crate::table::{differentiable, every_row, leaves, takes_other_class, tracked, values};
use rgrad::engine::{self, Options, Root};
use rgrad::graph::{Input, Var};
use rgrad::ops::apply::apply;
use rgrad::tensor::Tensor;

/// Sizes that are not `sizes`, smaller, larger and of as many elements, with fewer and more
/// dimensions.
fn other_sizes(sizes: &[i64]) -> Vec<Vec<i64>> {
    let mut out = vec![vec![1], vec![7], vec![5, 7], vec![1; sizes.len()]];
    for d in 0..sizes.len() {
        for change in [1, sizes[d], 20_000] {
            let mut larger = sizes.to_vec();
            larger[d] += change;
            out.push(larger);
        }
        let mut one = sizes.to_vec();
        one[d] = 1;
        out.push(one);
        let mut fewer = sizes.to_vec();
        fewer.remove(d);
        out.push(fewer);
    }
    let mut more = vec![2];
    more.extend_from_slice(sizes);
    out.push(more.clone());
    more.rotate_left(1);
    out.push(more);
    let count: i64 = sizes.iter().product();
    out.push(vec![count]);
    out.push(vec![1, count]);
    out.push(sizes.iter().rev().copied().collect());
    out.push(sizes.iter().copied().chain([1]).collect());
    out.push([1].into_iter().chain(sizes.iter().copied()).collect());
    out.push(sizes.iter().copied().filter(|&size| size != 1).collect());
    for divisor in (2..count).filter(|divisor| count % divisor == 0) {
        out.push(vec![divisor, count / divisor]);
    }
    out.retain(|other| !other.is_empty() && other != sizes);
    out
}

fn ones(sizes: &[i64]) -> Tensor {
    let count = sizes.iter().product::<i64>() as usize;
    Tensor::from_slice(&vec![1.0f64; count])
        .unwrap()
        .view(sizes)
        .unwrap()
}

#[test]
fn no_gradient_of_another_size_gives_one_of_the_right_size() {
    every_row(|op, sample| {
        if !differentiable(op) || takes_other_class(sample) {
            return;
        }
        let leaves = leaves(&sample.inputs);
        let vars = tracked(op, &leaves);
        let given: Vec<Input> = vars.iter().map(Var::input).collect();
        let results = apply(op, &given, values(sample)).unwrap();
        let y = &results[0];
        let (node, nr) = y.history.clone().expect("operands require grad");
        let inputs: Vec<_> = vars.iter().filter_map(|v| v.history.clone()).collect();
        for sizes in other_sizes(y.sizes()) {
            for create_graph in [false, true] {
                let root = Root {
                    node: node.clone(),
                    nr,
                    gradient: Var::from(ones(&sizes)),
                };
                let options = Options {
                    retain_graph: true,
                    create_graph,
                };
                let found = engine::gradients(vec![root], &inputs, options, true, &|| Ok(()));
                let Ok(found) = found else { continue };
                let own = vars.iter().filter(|v| v.history.is_some());
                for (i, (found, var)) in found.iter().zip(own).enumerate() {
                    let Some(gradient) = &found.gradient else {
                        continue;
                    };
                    assert_ne!(
                        gradient.sizes(),
                        var.sizes(),
                        "operand {i} of a result of {:?} took a gradient of {sizes:?}",
                        y.sizes()
                    );
                }
            }
        }
    });
}
