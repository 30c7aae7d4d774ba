//! Figures of random volumes as MedPy, SciPy, SimpleITK and DeepMind's surface-distance give them; made by
//! `tests/oracles/metrics.py --golden`.

use hepar_metrics::Figure;
use hepar_metrics::protocol::hepar::Hepar;
use hepar_metrics::protocol::lits2017::Lits2017;
use hepar_metrics::statistics::signed_rank;
use hepar_volume::Geometry;
use ndarray::Array3;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

fn numbers<T>(value: &Value, number: fn(&Value) -> Option<T>) -> Vec<T> {
    value.as_array().unwrap().iter().map(|v| number(v).unwrap()).collect()
}

/// The labels of a case, `[k, j, i]`; the file has i, j, k.
fn labels(case: &Value, name: &str) -> Array3<u8> {
    let shape = numbers(&case["shape"], |v| v.as_u64().map(|n| n as usize));
    let voxels = case[name].as_str().unwrap().bytes().map(|b| b - b'0').collect();
    let stored = Array3::from_shape_vec([shape[0], shape[1], shape[2]], voxels).unwrap();
    stored.reversed_axes().as_standard_layout().into_owned()
}

/// Compares the figures with all that the golden ones have.
fn compare(case: usize, figures: &[Figure], expected: &Value) {
    let expected = expected.as_object().unwrap();
    assert!(expected.len() > 20);
    for (path, expected) in expected.iter().filter(|(_, expected)| !expected.is_null()) {
        let expected = expected.as_f64().unwrap();
        let figure = figures.iter().find(|figure| figure.path == path).unwrap_or_else(|| panic!("no {path}"));
        let found = figure.value().unwrap_or_else(|| panic!("case {case}: {path} is undefined, not {expected}"));
        assert!((found - expected).abs() < 1e-9, "case {case}: {path} is {found}, not {expected}");
    }
}

#[test]
fn every_figure_is_that_of_other_libraries() {
    for (n, case) in golden()["cases"].as_array().unwrap().iter().enumerate() {
        let (prediction, reference) = (labels(case, "prediction"), labels(case, "reference"));
        let mut spacing: [f64; 3] = numbers(&case["spacing"], Value::as_f64).try_into().unwrap();
        spacing.reverse();
        let (k, j, i) = reference.dim();
        let geometry = Geometry::axis_aligned([k, j, i], spacing).unwrap();
        let by_hepar = Hepar::of(prediction.view(), reference.view(), &geometry).unwrap();
        compare(n, &by_hepar.figures(), &case["hepar"]);
        let by_challenge = Lits2017::of(prediction.view(), reference.view(), spacing).unwrap();
        compare(n, &by_challenge.figures(), &case["lits-2017"]);
    }
}

#[test]
fn p_values_are_those_of_scipy() {
    for test in golden()["wilcoxon"].as_array().unwrap() {
        let (found, expected) =
            (signed_rank(&numbers(&test["differences"], Value::as_f64)).p, test["p"].as_f64().unwrap());
        assert!((found / expected - 1.0).abs() < 1e-9, "{found}, not {expected}");
    }
}
