//! Sets of the documents of one part of a segment, as bits.

/// A set of numbers below some length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// None of `len`.
    pub(super) fn none(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// All of `len`.
    pub(super) fn all(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)];
        if let (Some(last), rest @ 1..) = (words.last_mut(), len % 64) {
            *last = (1 << rest) - 1;
        }
        Self(words)
    }

    /// Of some words, lowest bits first.
    pub(super) fn of(words: &[u64]) -> Self {
        Self(words.to_vec())
    }

    pub(super) fn insert(&mut self, n: usize) {
        self.0[n / 64] |= 1 << (n % 64);
    }

    pub(super) fn remove(&mut self, n: usize) {
        self.0[n / 64] &= !(1 << (n % 64));
    }

    pub(super) fn has(&self, n: usize) -> bool {
        self.0[n / 64] >> (n % 64) & 1 == 1
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(super) fn and(&mut self, other: &Self) {
        self.each(other, |own, other| own & other);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.each(other, |own, other| own | other);
    }

    pub(super) fn and_not(&mut self, other: &Self) {
        self.each(other, |own, other| own & !other);
    }

    fn each(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = with(*own, *other);
        }
    }

    /// The numbers, rising.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(place, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(place * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_it_was_given() {
        for len in [0, 1, 63, 64, 65, 130] {
            let all = Bits::all(len);
            assert_eq!(all.count(), len as u64);
            assert!(all.iter().eq(0..len));
            assert!(Bits::none(len).is_empty());
        }
        let mut bits = Bits::none(200);
        for n in [0, 63, 64, 199] {
            bits.insert(n);
        }
        bits.remove(63);
        assert!(bits.iter().eq([0, 64, 199]) && bits.has(199) && !bits.has(63));
        let mut rest = Bits::all(200);
        rest.and_not(&bits);
        assert_eq!(rest.count(), 197);
        rest.and(&bits);
        assert!(rest.is_empty());
        rest.or(&bits);
        assert_eq!(rest, bits);
    }
}
