//! Figures: what is printed, averaged and compared.

/// One figure of a case, kept so that those of several cases can be put together.
///
/// A mean per case has weight 1; a mean over lesions the number of the case's lesions; a Dice over all voxels twice the
/// shared voxels as its sum and the voxels of both as its weight. A figure that is undefined has weight 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Where it stands, as `liver/dice`: the names down to it in the JSON layout.
    pub path: &'static str,
    /// The sum of what is averaged.
    pub sum: f64,
    /// How much there is of it; not negative.
    pub weight: f64,
    /// How it is put together.
    pub fold: Fold,
    /// Where it is shown.
    pub scope: Scope,
    /// What it is when there is nothing to average; `None` for undefined.
    pub otherwise: Option<f64>,
}

/// How figures of several cases become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Sum of the sums over the sum of the weights.
    Mean,
    /// Its square root.
    RootMean,
    /// Sum of the sums.
    Sum,
    /// The greatest sum.
    Greatest,
}

/// Where a figure is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For a case and for all.
    Both,
    /// For a case alone.
    Case,
    /// For all cases alone.
    Total,
}

impl Figure {
    /// A value of a case that is averaged over cases; `None` is undefined.
    pub fn per_case(path: &'static str, value: impl Into<Option<f64>>) -> Self {
        let value = value.into();
        let weight = if value.is_some() { 1.0 } else { 0.0 };
        Self::ratio(path, value.unwrap_or(0.0), weight)
    }

    /// A ratio whose numerators and denominators are added up over cases.
    pub fn ratio(path: &'static str, sum: f64, weight: f64) -> Self {
        Self { path, sum, weight, fold: Fold::Mean, scope: Scope::Both, otherwise: None }
    }

    /// Values of which a case has any number, averaged over all of all cases.
    pub fn pooled(path: &'static str, values: impl IntoIterator<Item = f64>) -> Self {
        let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        Self::ratio(path, sum, count)
    }

    /// A number that is added up over cases.
    pub fn count(path: &'static str, count: f64) -> Self {
        Self { fold: Fold::Sum, ..Self::ratio(path, count, 1.0) }
    }

    /// The same figure, shown elsewhere.
    pub fn shown(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The same figure, put together otherwise.
    pub fn folded(self, fold: Fold) -> Self {
        Self { fold, ..self }
    }

    /// The same figure, with a value for when there is nothing to average.
    pub fn or(self, otherwise: f64) -> Self {
        Self { otherwise: Some(otherwise), ..self }
    }

    /// Its value; `None` when it is undefined.
    pub fn value(&self) -> Option<f64> {
        let mean = || if self.weight > 0.0 { Some(self.sum / self.weight) } else { self.otherwise };
        match self.fold {
            Fold::Mean => mean(),
            Fold::RootMean => mean().map(f64::sqrt),
            Fold::Sum | Fold::Greatest => {
                if self.weight > 0.0 {
                    Some(self.sum)
                } else {
                    self.otherwise
                }
            }
        }
    }

    /// Its value as far as there was something to average: what it is otherwise is no measurement.
    pub fn measured(&self) -> Option<f64> {
        Self { otherwise: None, ..*self }.value()
    }

    /// This figure and that of further cases together.
    pub fn with(self, other: &Self) -> Self {
        let weight = self.weight + other.weight;
        let sum = match self.fold {
            Fold::Greatest if self.weight == 0.0 => other.sum,
            Fold::Greatest if other.weight == 0.0 => self.sum,
            Fold::Greatest => self.sum.max(other.sum),
            _ => self.sum + other.sum,
        };
        Self { sum, weight, ..self }
    }

    /// Whether it is shown for a case.
    pub fn is_of_case(&self) -> bool {
        self.scope != Scope::Total
    }

    /// Whether it is shown for all cases.
    pub fn is_of_total(&self) -> bool {
        self.scope != Scope::Case
    }
}

/// The figures of all cases together, in the order of the first; all cases have the same.
pub fn totals(cases: &[Vec<Figure>]) -> Vec<Figure> {
    let Some((first, others)) = cases.split_first() else { return Vec::new() };
    let all = |n: usize| others.iter().fold(first[n], |sum, case| sum.with(&case[n]));
    (0..first.len()).map(all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_figures_take_no_part() {
        let cases = [
            vec![Figure::per_case("a", 0.5), Figure::pooled("b", [1.0, 2.0])],
            vec![Figure::per_case("a", None), Figure::pooled("b", [6.0])],
        ];
        let all = totals(&cases);
        assert_eq!((all[0].value(), all[1].value()), (Some(0.5), Some(3.0)));
        assert_eq!(cases[1][0].value(), None);
        let nothing = Figure::pooled("c", []).or(9001.0);
        assert_eq!((nothing.value(), nothing.measured()), (Some(9001.0), None));
        assert_eq!(Figure::pooled("c", [2.0]).or(9001.0).measured(), Some(2.0));
    }

    #[test]
    fn the_greatest_may_be_negative() {
        let greatest = |value: f64| Figure::per_case("d", value).folded(Fold::Greatest);
        assert_eq!(totals(&[vec![greatest(-2.0)], vec![greatest(-1.0)]])[0].value(), Some(-1.0));
        assert_eq!(greatest(-3.0).with(&Figure::per_case("d", None)).value(), Some(-3.0));
    }
}
