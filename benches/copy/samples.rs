//! Figures of several rounds.

/// The value in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    sorted(values)[values.len() / 2]
}

/// The least, the middle and the most, for people.
pub(crate) fn spread(values: &[f64]) -> String {
    let sorted = sorted(values);
    format!("{:.2} ({:.2}–{:.2})", median(values), sorted[0], sorted[sorted.len() - 1])
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
