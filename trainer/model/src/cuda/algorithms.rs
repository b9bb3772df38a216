//! Which algorithm of cuBLASLt computes a product, so that a row's bits do not depend on how many rows there are.
//!
//! One is chosen for a matrix and used for every number of rows; for the gradient of a matrix, which sums over rows, one for each number
//! of them. It splits no sum between blocks and reduces nothing afterwards: so a
//! value is one sum in an order that its tile gives, and the tile is the algorithm's. One that needs no workspace, without which blocks
//! cannot share a sum at all, goes before the others.

use super::machine::{Dtype, Form, Into, Product};

/// Rows that the heuristics are told of, whatever there will be.
pub(super) const ROWS: usize = 4096;

/// Numbers of rows that an algorithm must be able to compute.
pub(super) const PROBES: [usize; 9] = [1, 2, 7, 16, 61, 256, 1000, ROWS, 20_011];

/// Products that share an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    pub(super) form: Form,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) dtype: Dtype,
    pub(super) into: Into,
    /// Rows that the heuristics are told of.
    pub(super) rows: usize,
}

impl Class {
    /// That of a product; `fast` tells numbers of rows apart by powers of two.
    pub(super) const fn of(product: &Product, fast: bool) -> Self {
        let &Product { form, n, k, dtype, into, m, .. } = product;
        let rows = match form {
            Form::Weight => m,
            _ if fast => m.next_power_of_two(),
            _ => ROWS,
        };
        Self { form, n, k, dtype, into, rows }
    }

    /// Bytes of a value of the result.
    const fn out_size(self) -> usize {
        match self.into {
            Into::Same => self.dtype.size(),
            Into::F32 | Into::Added => 4,
        }
    }

    /// Whether every row of every matrix begins at a multiple of 16 bytes. Of others cuBLASLt has slow algorithms, or none.
    pub(super) const fn is_aligned(self) -> bool {
        let (x, w) = match self.form {
            Form::Forward => (self.k, self.k),
            Form::Input => (self.k, self.n),
            Form::Weight => (self.rows, self.n),
        };
        let size = self.dtype.size();
        (x * size).is_multiple_of(16)
            && (w * size).is_multiple_of(16)
            && (self.n * self.out_size()).is_multiple_of(16)
    }
}

/// What is known of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Blocks that share a sum; none where the library does not say.
    pub(super) splits: Option<u32>,
    /// How they are added up, 0 for not at all.
    pub(super) reduction: Option<u32>,
    /// The tile that a block computes, 0 where the library chooses it anew each time.
    pub(super) tile: Option<u32>,
    /// Memory that it needs [bytes].
    pub(super) workspace: usize,
}

impl Candidate {
    /// Whether a value is one sum in a fixed order.
    fn sums_in_order(&self) -> bool {
        // Zero splits, in some versions, are one.
        let in_one = self.splits.is_some_and(|splits| splits <= 1) && self.reduction == Some(0);
        in_one && self.tile.is_some_and(|tile| tile != 0)
    }
}

/// What an algorithm must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// Whether sums may be split.
    pub(super) fast: bool,
    /// Memory that it may use [bytes].
    pub(super) workspace: usize,
}

/// The first that will do; `passes` asks the library whether one computes so many rows, and what it is then.
pub(super) fn choose<A>(
    candidates: Vec<(A, Candidate)>,
    terms: Terms,
    class: &Class,
    passes: impl Fn(&A, usize) -> Option<Candidate>,
) -> Option<A> {
    let Terms { fast, workspace } = terms;
    let suits =
        |candidate: &Candidate| (fast || candidate.sums_in_order()) && candidate.workspace <= workspace;
    let rows: &[usize] = match class.form {
        Form::Weight => &[class.rows],
        _ if fast => &[class.rows / 2 + 1, class.rows],
        _ => &PROBES,
    };
    candidates
        .into_iter()
        .filter(|(_, candidate)| suits(candidate))
        .find(|(algorithm, _)| rows.iter().all(|&m| passes(algorithm, m).is_some_and(|now| suits(&now))))
        .map(|(algorithm, _)| algorithm)
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Class, PROBES, ROWS, Terms, choose};
    use crate::cuda::machine::{Dtype, Form, Into, Product, Ptr};

    fn product(m: usize, n: usize, k: usize, dtype: Dtype, into: Into) -> Product {
        Product { form: Form::Forward, x: Ptr(16), w: Ptr(32), out: Ptr(48), m, n, k, dtype, into }
    }

    fn plain() -> Candidate {
        Candidate { splits: Some(1), reduction: Some(0), tile: Some(20), workspace: 0 }
    }

    const STRICT: Terms = Terms { fast: false, workspace: 0 };

    fn class() -> Class {
        Class::of(&product(5, 64, 32, Dtype::Bf16, Into::Same), false)
    }

    #[test]
    fn the_number_of_rows_makes_no_class_unless_asked() {
        let class = |m, fast| Class::of(&product(m, 64, 32, Dtype::Bf16, Into::Same), fast);
        assert_eq!(class(1, false), class(4000, false));
        assert_eq!(class(33, true), class(64, true));
        assert_ne!(class(32, true), class(33, true));
        let other = |n, k, dtype, into| Class::of(&product(1, n, k, dtype, into), false);
        let base = other(64, 32, Dtype::Bf16, Into::Same);
        for different in [
            other(32, 64, Dtype::Bf16, Into::Same),
            other(64, 32, Dtype::F16, Into::Same),
            other(64, 32, Dtype::Bf16, Into::F32),
        ] {
            assert_ne!(base, different);
        }
    }

    #[test]
    fn a_gradient_of_a_weight_has_an_algorithm_for_each_shape() {
        let gradient = |m, k| Product { form: Form::Weight, ..product(m, 64, k, Dtype::Bf16, Into::Added) };
        let class = Class::of(&gradient(96, 4000), false);
        assert_ne!(class, Class::of(&gradient(96, 4001), false));
        assert_eq!(class.rows, 96);
        // Rows begin at multiples of 16 bytes whatever their number is.
        assert!(Class::of(&gradient(96, 4001), false).is_aligned());
        assert!(!Class::of(&gradient(97, 4000), false).is_aligned());
        let asked = std::cell::RefCell::new(Vec::new());
        let passes = |_: &i32, m: usize| {
            asked.borrow_mut().push(m);
            Some(plain())
        };
        assert_eq!(choose(vec![(0, plain())], STRICT, &class, passes), Some(0));
        assert_eq!(asked.into_inner(), [96]);
        let input = Product { form: Form::Input, ..product(5, 64, 32, Dtype::Bf16, Into::Same) };
        assert_ne!(Class::of(&input, false), self::class());
    }

    #[test]
    fn rows_that_begin_anywhere_are_not_for_the_library() {
        let aligned = |n, k, dtype, into| Class::of(&product(9, n, k, dtype, into), false).is_aligned();
        assert!(aligned(8, 8, Dtype::Bf16, Into::Same));
        assert!(!aligned(8, 12, Dtype::F16, Into::Same));
        assert!(aligned(8, 12, Dtype::F32, Into::Same));
        assert!(!aligned(12, 8, Dtype::Bf16, Into::Same));
        assert!(aligned(12, 8, Dtype::Bf16, Into::F32));
        assert!(!aligned(49_999, 64, Dtype::Bf16, Into::F32));
    }

    #[test]
    fn only_sums_in_a_fixed_order_are_chosen() {
        let odd = [
            Candidate { splits: Some(4), ..plain() },
            Candidate { splits: Some(u32::MAX), ..plain() },
            Candidate { splits: None, ..plain() },
            Candidate { reduction: Some(2), ..plain() },
            Candidate { reduction: None, ..plain() },
            Candidate { tile: Some(0), ..plain() },
            Candidate { workspace: 1, ..plain() },
        ];
        let candidates: Vec<_> = odd.into_iter().chain([plain()]).enumerate().collect();
        let chosen =
            |terms, count: usize| choose(candidates[..count].to_vec(), terms, &class(), |_, _| Some(plain()));
        assert_eq!(chosen(STRICT, 8), Some(7));
        assert_eq!(chosen(STRICT, 7), None);
        assert_eq!(chosen(Terms { workspace: 1, ..STRICT }, 7), Some(6));
        assert_eq!(chosen(Terms { fast: true, ..STRICT }, 8), Some(0));
    }

    #[test]
    fn it_must_compute_every_number_of_rows_in_the_same_way() {
        let candidates = vec![(0, plain()), (1, plain()), (2, plain())];
        let passes = |&algorithm: &i32, m: usize| match (algorithm, m) {
            (0, 1) => None,
            // Another number of rows would be split.
            (1, ROWS) => Some(Candidate { workspace: 512, ..plain() }),
            _ => Some(plain()),
        };
        assert_eq!(choose(candidates, STRICT, &class(), passes), Some(2));
        assert!(PROBES.contains(&1) && PROBES.contains(&ROWS));
    }
}
