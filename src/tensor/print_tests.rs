//! Against texts of the original formatter.

use super::*;
use serde_json::Value;

/// The value list of a case: numbers, or a formula over a count.
fn values(v: &Value, n: usize) -> Vec<f64> {
    let Some(formula) = v.as_str() else {
        let special = |v: &Value| v.as_str().unwrap().parse().unwrap();
        return v
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap_or_else(|| special(v)))
            .collect();
    };
    let (_, rest) = formula.split_once(')').unwrap();
    (0..n)
        .map(|i| match rest.split_at_checked(1) {
            Some(("*", by)) => i as f64 * by.parse::<f64>().unwrap(),
            Some(("/", by)) => i as f64 / by.parse::<f64>().unwrap(),
            _ => i as f64,
        })
        .collect()
}

fn options(v: &Value) -> Options {
    let mut o = Options::profile(v["profile"].as_str().unwrap_or("default")).unwrap();
    for (name, value) in v.as_object().unwrap() {
        match (name.as_str(), value.as_u64()) {
            ("precision", Some(n)) => o.precision = n as usize,
            ("linewidth", Some(n)) => o.linewidth = n as usize,
            ("edgeitems", Some(n)) => o.edgeitems = n as usize,
            ("threshold", Some(n)) => o.threshold = n as usize,
            ("profile", None) => {}
            other => panic!("unknown option {other:?}"),
        }
    }
    o
}

fn row_major(index: &[i64], sizes: &[i64]) -> usize {
    index
        .iter()
        .zip(sizes)
        .fold(0, |at, (i, s)| at * *s as usize + *i as usize)
}

#[test]
fn texts_are_those_of_the_era() {
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/golden/print_golden.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 45);
    for case in cases {
        let sizes: Vec<i64> = case["shape"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_i64().unwrap())
            .collect();
        let class = case["type"].as_str().unwrap();
        let n = sizes.iter().product::<i64>() as usize;
        let mut all = values(&case["values"], n);
        if class == "torch.FloatTensor" {
            all.iter_mut().for_each(|v| *v = f64::from(*v as f32));
        }
        let is_float = ["torch.FloatTensor", "torch.DoubleTensor"].contains(&class);
        let at = |index: &[i64]| {
            let v = all[row_major(index, &sizes)];
            if is_float {
                Number::Float(v)
            } else {
                Number::Int(v as i64)
            }
        };
        let got = text(&sizes, class, None, &at, &options(&case["options"]));
        assert_eq!(
            got,
            case["expect"].as_str().unwrap(),
            "case {}",
            case["name"]
        );
    }
}

#[test]
fn a_gpu_is_named_in_the_trailer() {
    let got = text(
        &[1],
        "torch.cuda.FloatTensor",
        Some(0),
        &|_| Number::Float(1.0),
        &Options::default(),
    );
    assert_eq!(got, "\n 1\n[torch.cuda.FloatTensor of size 1 (GPU 0)]\n");
}

#[test]
fn longs_keep_every_digit() {
    let o = Options {
        precision: 20,
        ..Options::default()
    };
    let got = text(
        &[2],
        "torch.LongTensor",
        None,
        &|i| Number::Int(i64::MIN + i[0]),
        &o,
    );
    assert_eq!(
        got,
        "\n-9223372036854775808\n-9223372036854775807\n[torch.LongTensor of size 2]\n"
    );
}

#[test]
fn narrow_lines_and_tiny_thresholds_come_to_an_end() {
    for (threshold, linewidth, edgeitems) in [(0, 0, 0), (1, 3, 1), (0, 1, 3), (5, 80, 0)] {
        let o = Options {
            threshold,
            linewidth,
            edgeitems,
            precision: 0,
        };
        for sizes in [
            &[7][..],
            &[2, 3],
            &[9, 8],
            &[3, 2, 2],
            &[8, 1, 8],
            &[1, 8, 2, 3],
        ] {
            let at = |i: &[i64]| Number::Float(row_major(i, sizes) as f64 + 0.5);
            let got = text(sizes, "torch.FloatTensor", None, &at, &o);
            assert!(got.ends_with("]\n"), "{sizes:?} {o:?}");
        }
    }
}

#[test]
fn leading_places_are_skipped_and_restart_with_marks() {
    let at = |_: &[i64]| Number::Int(1);
    let got = text(
        &[8, 8, 1, 20],
        "torch.LongTensor",
        None,
        &at,
        &Options::default(),
    );
    assert!(got.contains("\n   ...\n\n(0 ,5 ,.,.) = \n"), "{got}");
    assert!(got.contains("\n     ⋮ \n\n(1 ,0 ,.,.) = \n"), "{got}");
    assert!(
        got.contains("\n...   \n     ⋮ \n\n(5 ,0 ,.,.) = \n"),
        "{got}"
    );
    assert!(!got.contains("(3 ,"), "{got}");
}
