//! Sums of doubles without rounding on the way.

/// A sum of doubles that does not depend on their order: partial sums that do not overlap, added
/// up at the end. Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997.
#[derive(Debug, Default)]
pub(super) struct ExactSum {
    partials: Vec<f64>,
}

impl ExactSum {
    pub(super) fn add(&mut self, mut x: f64) {
        let mut kept = 0;
        for n in 0..self.partials.len() {
            let mut y = self.partials[n];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                self.partials[kept] = low;
                kept += 1;
            }
            x = high;
        }
        self.partials.truncate(kept);
        self.partials.push(x);
    }

    /// The sum, correctly rounded: from the greatest partial down, with a look at the next one
    /// where the rest lies exactly half way.
    pub(super) fn value(&self) -> f64 {
        let mut rest = self.partials.iter().rev().copied();
        let Some(mut high) = rest.next() else {
            return 0.0;
        };
        while let Some(x) = rest.next() {
            let sum = high + x;
            let low = x - (sum - high);
            high = sum;
            if low != 0.0 {
                let same_side = rest
                    .next()
                    .is_some_and(|next| (next < 0.0) == (low < 0.0) && next != 0.0);
                let doubled = low * 2.0;
                let up = high + doubled;
                if same_side && doubled == up - high {
                    high = up;
                }
                break;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ExactSum;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        values.iter().for_each(|x| sum.add(*x));
        sum.value()
    }

    #[test]
    fn sums_are_exact() {
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[]), 0.0);
    }

    proptest! {
        #[test]
        fn sums_do_not_depend_on_the_order(mut values in prop::collection::vec(-1e12..1e12, 0..50)) {
            let forward = sum(&values);
            values.reverse();
            prop_assert_eq!(forward.to_bits(), sum(&values).to_bits());
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(forward.to_bits(), sum(&values).to_bits());
        }
    }
}
