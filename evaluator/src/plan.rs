//! Which tokens are run: a trie over the sequences of all tasks. Every edge is run once; what lies below it shares its keys
//! and values.

/// A place where something is asked: a sequence of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ask {
    /// Index of the question, over all tasks.
    pub(crate) question: usize,
    /// Which of its sequences.
    pub(crate) sequence: usize,
}

/// A sequence to be run: its tokens, and from which position on it is read (the last position of a sequence is always read).
pub(crate) struct Asked<'a> {
    pub(crate) ask: Ask,
    pub(crate) tokens: &'a [u32],
    /// Number of positions read, counted from the end.
    pub(crate) reads: usize,
}

/// The trie.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    /// Those that begin a sequence, in the order of their first questions.
    pub(crate) roots: Vec<usize>,
}

/// An edge of the trie: tokens that every sequence below it shares.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node<'a> {
    /// Tokens before it.
    pub(crate) start: usize,
    /// Its own tokens.
    pub(crate) tokens: &'a [u32],
    /// The edges below it, in the order of their first questions.
    pub(crate) children: Vec<usize>,
    /// What is read off it, by position in the sequence.
    pub(crate) reads: Vec<Read>,
    /// The smallest question that runs through it: its task pays for it.
    pub(crate) first: usize,
}

/// A position whose logits are needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Position in the sequence.
    pub(crate) position: usize,
    /// Who asks, and for which of its targets.
    pub(crate) asks: Vec<(Ask, usize)>,
}

impl<'a> Plan<'a> {
    /// The trie over these sequences.
    pub(crate) fn shared(mut asked: Vec<Asked<'a>>) -> Self {
        asked.sort_by(|a, b| a.tokens.cmp(b.tokens).then(a.ask.cmp(&b.ask)));
        let mut plan = Self::default();
        plan.roots = plan.descend(&asked, 0);
        plan
    }

    /// Every sequence by itself, in the order of the questions: the reference.
    pub(crate) fn alone(mut asked: Vec<Asked<'a>>) -> Self {
        asked.sort_by_key(|asked| asked.ask);
        let mut plan = Self::default();
        plan.roots = asked.iter().flat_map(|one| plan.descend(std::slice::from_ref(one), 0)).collect();
        plan
    }

    /// For each edge the most that a path weighs below it: `own` is the weight of an edge, `end` what is added where a path
    /// ends.
    pub(crate) fn weights_below(
        &self,
        own: &dyn Fn(&Node<'a>) -> usize,
        end: &dyn Fn(&Node<'a>) -> usize,
    ) -> Vec<usize> {
        let mut below = vec![0; self.nodes.len()];
        // An edge comes after those below it.
        for (place, node) in self.nodes.iter().enumerate() {
            let children = node.children.iter().map(|child| own(&self.nodes[*child]) + below[*child]);
            below[place] = children.max().unwrap_or(0).max(end(node));
        }
        below
    }

    /// Tokens to be run.
    #[cfg(test)]
    fn tokens(&self) -> usize {
        self.nodes.iter().map(|node| node.tokens.len()).sum()
    }

    /// The edges for `asked`, which is sorted and shares its first `start` tokens.
    fn descend(&mut self, asked: &[Asked<'a>], start: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut rest = asked;
        while let Some(first) = rest.first() {
            // Those that go on with the same token.
            let token = first.tokens.get(start);
            let same = rest.iter().take_while(|other| other.tokens.get(start) == token).count();
            let (group, after) = rest.split_at(same);
            rest = after;
            let Some(last) = group.last().filter(|_| token.is_some()) else { continue };
            // Sorted, so what the first and the last share is shared by all.
            let shared = first.tokens.iter().zip(last.tokens).take_while(|(a, b)| a == b).count();
            let deeper = group.iter().position(|other| other.tokens.len() > shared).unwrap_or(group.len());
            let children = self.descend(&group[deeper..], shared);
            let node = Node {
                start,
                tokens: &first.tokens[start..shared],
                children,
                reads: reads(group, start, shared),
                first: group.iter().map(|asked| asked.ask.question).min().unwrap_or(0),
            };
            self.nodes.push(node);
            found.push(self.nodes.len() - 1);
        }
        found.sort_by_key(|node| self.nodes[*node].first);
        found
    }
}

/// What `group` reads at positions `start..end`.
fn reads(group: &[Asked<'_>], start: usize, end: usize) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    for asked in group {
        let first = asked.tokens.len() - asked.reads;
        for position in first.max(start)..asked.tokens.len().min(end) {
            let ask = (asked.ask, position - first);
            match reads.binary_search_by_key(&position, |read| read.position) {
                Ok(at) => reads[at].asks.push(ask),
                Err(at) => reads.insert(at, Read { position, asks: vec![ask] }),
            }
        }
    }
    reads
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEQUENCES: [(&[u32], usize); 5] =
        [(&[1, 2, 3, 4], 2), (&[1, 2, 3, 5], 2), (&[1, 2, 3], 1), (&[1, 9], 1), (&[1, 2, 3, 4], 1)];

    fn asked() -> Vec<Asked<'static>> {
        let asked = |(question, (tokens, reads)): (usize, &(&'static [u32], usize))| Asked {
            ask: Ask { question, sequence: 0 },
            tokens,
            reads: *reads,
        };
        SEQUENCES.iter().enumerate().map(asked).collect()
    }

    fn in_order(plan: &Plan<'_>) -> (Vec<(usize, Vec<u32>)>, Vec<(usize, usize, usize)>) {
        let (mut edges, mut read) = (Vec::new(), Vec::new());
        let mut stack: Vec<usize> = plan.roots.iter().rev().copied().collect();
        while let Some(node) = stack.pop() {
            let node = &plan.nodes[node];
            edges.push((node.start, node.tokens.to_vec()));
            for Read { position, asks } in &node.reads {
                read.extend(asks.iter().map(|(ask, target)| (ask.question, *target, *position)));
            }
            stack.extend(node.children.iter().rev());
        }
        read.sort_unstable();
        (edges, read)
    }

    #[test]
    fn shared_tokens_are_run_once_and_everything_is_read() {
        let (edges, read) = in_order(&Plan::shared(asked()));
        assert_eq!(edges, [(0, vec![1]), (1, vec![2, 3]), (3, vec![4]), (3, vec![5]), (1, vec![9])]);
        assert_eq!(read, [(0, 0, 2), (0, 1, 3), (1, 0, 2), (1, 1, 3), (2, 0, 2), (3, 0, 1), (4, 0, 3)]);
    }

    #[test]
    fn alone_reads_the_same_and_runs_every_token() {
        let plan = Plan::alone(asked());
        assert_eq!((plan.roots.len(), plan.tokens()), (5, 17));
        assert_eq!(in_order(&plan).1, in_order(&Plan::shared(asked())).1);
    }

    /// For each target the tokens that stand before it, on the path from the root.
    fn before(plan: &Plan<'_>) -> Vec<((Ask, usize), Vec<u32>)> {
        let mut found = Vec::new();
        let mut stack: Vec<(usize, Vec<u32>)> = plan.roots.iter().map(|root| (*root, Vec::new())).collect();
        while let Some((place, mut tokens)) = stack.pop() {
            let node = &plan.nodes[place];
            assert_eq!(node.start, tokens.len());
            tokens.extend(node.tokens);
            for read in &node.reads {
                found.extend(read.asks.iter().map(|ask| (*ask, tokens[..=read.position].to_vec())));
            }
            stack.extend(node.children.iter().map(|child| (*child, tokens.clone())));
        }
        found.sort();
        found
    }

    proptest! {
        /// Whatever is shared, every target stands behind exactly the tokens of its own sequence, and no token is run twice.
        #[test]
        fn sharing_changes_nothing_that_is_read(
            sequences in proptest::collection::vec((proptest::collection::vec(0_u32..3, 1..8), 1_usize..4), 1..20),
        ) {
            let asked = || -> Vec<Asked<'_>> {
                let mut all = Vec::new();
                for (question, (tokens, reads)) in sequences.iter().enumerate() {
                    let ask = Ask { question, sequence: 0 };
                    all.push(Asked { ask, tokens, reads: (*reads).min(tokens.len()) });
                }
                all
            };
            let (shared, alone) = (Plan::shared(asked()), Plan::alone(asked()));
            prop_assert_eq!(before(&shared), before(&alone));
            prop_assert_eq!(before(&alone).len(), asked().iter().map(|asked| asked.reads).sum::<usize>());
            let prefixes: std::collections::BTreeSet<&[u32]> =
                sequences.iter().flat_map(|(tokens, _)| (1..=tokens.len()).map(|end| &tokens[..end])).collect();
            prop_assert_eq!(shared.tokens(), prefixes.len(), "each prefix is run once");
            let own = |node: &Node<'_>| node.tokens.len();
            let below = shared.weights_below(&own, &|_| 0);
            let heaviest = shared.roots.iter().map(|root| own(&shared.nodes[*root]) + below[*root]).max();
            prop_assert_eq!(heaviest, sequences.iter().map(|(tokens, _)| tokens.len()).max());
        }
    }
}
