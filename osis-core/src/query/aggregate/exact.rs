//! Sums of doubles without rounding on the way.

/// A sum of doubles that does not depend on their order, and from which one can be taken away
/// again: every double is a multiple of the least one, so the sum is kept as a whole number of
/// those, in two's complement, the lowest 64 bits first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExactSum(Box<[u64; LIMBS]>);

/// Doubles reach from 2^-1074 to 2^1024; above that there is room for 2^63 of the greatest, and the
/// sign.
const LIMBS: usize = 34;

/// Bits of a double below the exponent.
const FRACTION: u32 = 52;

impl Default for ExactSum {
    fn default() -> Self {
        Self(Box::new([0; LIMBS]))
    }
}

impl ExactSum {
    /// Adds a finite double.
    pub(crate) fn add(&mut self, x: f64) {
        let (limb, low, high) = placed(x);
        match x < 0.0 {
            true => self.take_limbs(limb, low, high),
            false => self.add_limbs(limb, low, high),
        }
    }

    /// Adds another sum.
    pub(crate) fn add_sum(&mut self, other: &Self) {
        let mut carry = false;
        for (own, other) in self.0.iter_mut().zip(*other.0) {
            let (sum, over) = own.overflowing_add(other);
            let (sum, over_by_carry) = sum.overflowing_add(u64::from(carry));
            (*own, carry) = (sum, over || over_by_carry);
        }
    }

    /// Takes another sum away.
    pub(crate) fn take_sum(&mut self, other: &Self) {
        self.add_sum(&other.negated());
    }

    /// The sum, correctly rounded to even; infinite where it is beyond all doubles.
    pub(crate) fn value(&self) -> f64 {
        let (is_negative, magnitude) = self.magnitude();
        let Some(top) = magnitude.top() else {
            return 0.0;
        };
        // The bits of a double are in the order of their values: rounding up carries into the
        // exponent by itself.
        let bits = match top.checked_sub(FRACTION) {
            None | Some(0) => magnitude.0[0],
            Some(below) => {
                let mantissa = magnitude.bits(below) & ((1 << (FRACTION + 1)) - 1);
                let truncated = (u64::from(below) << FRACTION) + mantissa;
                let is_half = magnitude.has(below - 1);
                let is_more = magnitude.any_below(below - 1);
                truncated + u64::from(is_half && (is_more || mantissa & 1 == 1))
            }
        };
        let value = f64::from_bits(bits.min(f64::INFINITY.to_bits()));
        if is_negative { -value } else { value }
    }

    /// The whole number behind it in hexadecimal digits, without the zeros that end it in whole
    /// limbs, and how many of those there are: equal sums have equal texts.
    pub(crate) fn text(&self) -> String {
        let (is_negative, magnitude) = self.magnitude();
        let Some(first) = magnitude.0.iter().position(|limb| *limb != 0) else {
            return "0".to_owned();
        };
        let digits: String = magnitude.0[first..]
            .iter()
            .rev()
            .map(|limb| format!("{limb:016x}"))
            .collect();
        let digits = digits.trim_start_matches('0');
        let sign = if is_negative { "-" } else { "" };
        format!("{sign}{digits}@{first}")
    }

    /// Reads what [`Self::text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self::default());
        }
        let (is_negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (digits, first) = rest.split_once('@')?;
        let mut limb: usize = first.parse().ok()?;
        let mut sum = Self::default();
        let mut end = digits.len();
        while end > 0 {
            let start = end.saturating_sub(16);
            let part = digits.get(start..end)?;
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            *sum.0.get_mut(limb)? = u64::from_str_radix(part, 16).ok()?;
            (limb, end) = (limb + 1, start);
        }
        let sum = if is_negative { sum.negated() } else { sum };
        (sum.text() == text).then_some(sum)
    }

    fn add_limbs(&mut self, limb: usize, low: u64, high: u64) {
        let (sum, mut carry) = self.0[limb].overflowing_add(low);
        self.0[limb] = sum;
        let mut add = high;
        for own in &mut self.0[limb + 1..] {
            if add == 0 && !carry {
                return;
            }
            let (sum, over) = own.overflowing_add(add);
            let (sum, over_by_carry) = sum.overflowing_add(u64::from(carry));
            (*own, carry, add) = (sum, over || over_by_carry, 0);
        }
    }

    fn take_limbs(&mut self, limb: usize, low: u64, high: u64) {
        let (rest, mut borrow) = self.0[limb].overflowing_sub(low);
        self.0[limb] = rest;
        let mut take = high;
        for own in &mut self.0[limb + 1..] {
            if take == 0 && !borrow {
                return;
            }
            let (rest, under) = own.overflowing_sub(take);
            let (rest, under_by_borrow) = rest.overflowing_sub(u64::from(borrow));
            (*own, borrow, take) = (rest, under || under_by_borrow, 0);
        }
    }

    fn negated(&self) -> Self {
        let mut negated = Self(Box::new(self.0.map(|limb| !limb)));
        negated.add_limbs(0, 1, 0);
        negated
    }

    /// Whether it is below zero, and how far it is from it.
    fn magnitude(&self) -> (bool, Self) {
        match self.0[LIMBS - 1] >> 63 {
            0 => (false, self.clone()),
            _ => (true, self.negated()),
        }
    }

    /// The place of the highest bit that is set.
    fn top(&self) -> Option<u32> {
        let limb = self.0.iter().rposition(|limb| *limb != 0)?;
        let above = u32::try_from(limb).ok()? * 64;
        Some(above + 63 - self.0[limb].leading_zeros())
    }

    /// 64 bits from a place on.
    fn bits(&self, from: u32) -> u64 {
        let (limb, shift) = (from as usize / 64, from % 64);
        let high = self.0.get(limb + 1).copied().unwrap_or(0);
        match shift {
            0 => self.0[limb],
            _ => (self.0[limb] >> shift) | (high << (64 - shift)),
        }
    }

    fn has(&self, place: u32) -> bool {
        self.bits(place) & 1 == 1
    }

    /// Whether a bit below a place is set.
    fn any_below(&self, place: u32) -> bool {
        let (limb, shift) = (place as usize / 64, place % 64);
        self.0[..limb].iter().any(|limb| *limb != 0) || self.0[limb] & ((1 << shift) - 1) != 0
    }
}

/// The size of a double as a whole number of the least one: in which limb it begins, and what it has
/// there and in the next.
fn placed(x: f64) -> (usize, u64, u64) {
    let bits = x.abs().to_bits();
    let (exponent, fraction) = (bits >> FRACTION, bits & ((1 << FRACTION) - 1));
    // A double without exponent counts least ones; with one, it has a bit more.
    let (mantissa, shift) = match exponent {
        0 => (fraction, 0),
        exponent => (fraction | 1 << FRACTION, exponent - 1),
    };
    let wide = u128::from(mantissa) << (shift % 64);
    // Two halves of 128 bits; a shift below 2046 is in the first 32 limbs.
    #[expect(clippy::cast_possible_truncation)]
    ((shift / 64) as usize, wide as u64, (wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ExactSum;

    fn of(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        values.iter().for_each(|x| sum.add(*x));
        sum
    }

    fn sum(values: &[f64]) -> f64 {
        of(values).value()
    }

    #[test]
    fn sums_are_exact() {
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX]), f64::NEG_INFINITY);
        let least = f64::from_bits(1);
        assert_eq!(
            sum(&[least, least, f64::MIN_POSITIVE, -least]),
            f64::MIN_POSITIVE + least
        );
    }

    #[test]
    fn halves_are_rounded_to_even() {
        let two_53 = 9_007_199_254_740_992.0;
        assert_eq!(sum(&[two_53, 1.0]), two_53);
        assert_eq!(sum(&[two_53, 2.0, 1.0]), two_53 + 4.0);
        assert_eq!(sum(&[two_53, 1.0, f64::from_bits(1)]), two_53 + 2.0);
        assert_eq!(sum(&[-two_53, -1.0, -f64::from_bits(1)]), -two_53 - 2.0);
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>()
                .prop_map(f64::from_bits)
                .prop_filter("finite", |x| x.is_finite()),
            -1e12..1e12,
        ]
    }

    proptest! {
        #[test]
        fn one_double_is_its_own_sum(x in finite()) {
            prop_assert_eq!((sum(&[x]) + 0.0).to_bits(), (x + 0.0).to_bits());
        }

        #[test]
        fn two_doubles_are_added_as_the_machine_does(a in finite(), b in finite()) {
            prop_assert_eq!((sum(&[a, b]) + 0.0).to_bits(), (a + b + 0.0).to_bits());
        }

        #[test]
        fn sums_do_not_depend_on_the_order(mut values in prop::collection::vec(finite(), 0..50)) {
            let forward = of(&values);
            values.reverse();
            prop_assert_eq!(&forward, &of(&values));
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(forward, of(&values));
        }

        #[test]
        fn what_is_taken_away_leaves_the_rest(
            stays in prop::collection::vec(finite(), 0..20),
            goes in prop::collection::vec(finite(), 0..20),
        ) {
            let mut sum = of(&stays);
            sum.add_sum(&of(&goes));
            sum.take_sum(&of(&goes));
            prop_assert_eq!(sum, of(&stays));
        }

        #[test]
        fn texts_come_back(values in prop::collection::vec(finite(), 0..20)) {
            let sum = of(&values);
            prop_assert_eq!(ExactSum::parse(&sum.text()), Some(sum));
        }
    }
}
