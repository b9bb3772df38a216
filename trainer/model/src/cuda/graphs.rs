//! Which sequences of launches were captured, and what becomes of them. What is captured names addresses; so a graph goes when memory
//! that it names is given back.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Most sequences that are kept, whatever their state.
const MOST: usize = 64;

/// What to do with a sequence.
#[derive(Debug)]
pub(super) enum Step<G> {
    /// Run it as it is.
    Run,
    /// Run it while it is captured.
    Capture,
    /// Run what was captured.
    Replay(Arc<G>),
}

#[derive(Debug)]
enum State<G> {
    /// It ran once, so that everything that happens but once has happened.
    Warm,
    Captured {
        graph: Arc<G>,
        /// What it names.
        addresses: Vec<u64>,
    },
}

/// The sequences that are known, those that ran last at the end.
#[derive(Debug)]
pub(super) struct Graphs<G> {
    known: VecDeque<(u64, State<G>)>,
    /// After a capture that failed nothing is captured any more.
    off: bool,
}

impl<G> Default for Graphs<G> {
    fn default() -> Self {
        Self { known: VecDeque::new(), off: false }
    }
}

impl<G> Graphs<G> {
    /// What to do when the sequence with this key is asked for.
    pub(super) fn step(&mut self, key: u64) -> Step<G> {
        if self.off {
            return Step::Run;
        }
        let Some(place) = self.known.iter().position(|(known, _)| *known == key) else {
            self.put(key, State::Warm);
            return Step::Run;
        };
        let (_, state) = self.known.remove(place).expect("it was found");
        let step = match &state {
            State::Warm => Step::Capture,
            State::Captured { graph, .. } => Step::Replay(Arc::clone(graph)),
        };
        self.put(key, state);
        step
    }

    /// Keeps what was captured, which names these addresses.
    pub(super) fn captured(&mut self, key: u64, graph: G, mut addresses: Vec<u64>) -> Arc<G> {
        addresses.sort_unstable();
        addresses.dedup();
        let graph = Arc::new(graph);
        self.known.retain(|(known, _)| *known != key);
        self.put(key, State::Captured { graph: Arc::clone(&graph), addresses });
        graph
    }

    /// From now on everything is run as it is. Says whether that is new.
    pub(super) fn give_up(&mut self) -> bool {
        self.known.clear();
        !std::mem::replace(&mut self.off, true)
    }

    /// Memory is given back.
    pub(super) fn forget(&mut self, memory: &Range<u64>) {
        self.known.retain(|(_, state)| match state {
            State::Warm => true,
            State::Captured { addresses, .. } => {
                let first = addresses.partition_point(|address| *address < memory.start);
                addresses.get(first).is_none_or(|address| *address >= memory.end)
            }
        });
    }

    fn put(&mut self, key: u64, state: State<G>) {
        if self.known.len() == MOST {
            self.known.pop_front();
        }
        self.known.push_back((key, state));
    }
}

#[cfg(test)]
mod tests {
    use super::{Graphs, MOST, Step};

    fn said(graphs: &mut Graphs<u32>, key: u64) -> String {
        match graphs.step(key) {
            Step::Run => "run".to_owned(),
            Step::Capture => "capture".to_owned(),
            Step::Replay(graph) => format!("replay {graph}"),
        }
    }

    #[test]
    fn a_sequence_runs_is_captured_and_replayed() {
        let mut graphs = Graphs::default();
        assert_eq!(said(&mut graphs, 1), "run");
        assert_eq!(said(&mut graphs, 1), "capture");
        graphs.captured(1, 11, vec![]);
        assert_eq!(said(&mut graphs, 2), "run");
        assert_eq!(said(&mut graphs, 1), "replay 11");
        assert_eq!(said(&mut graphs, 1), "replay 11");
        assert!(graphs.give_up());
        assert!(!graphs.give_up());
        assert_eq!(said(&mut graphs, 1), "run");
        assert_eq!(said(&mut graphs, 1), "run");
    }

    #[test]
    fn the_one_that_ran_longest_ago_goes_first() {
        let mut graphs = Graphs::default();
        for key in 0..MOST as u64 {
            graphs.step(key);
            graphs.captured(key, 0, vec![]);
        }
        assert_eq!(said(&mut graphs, 0), "replay 0");
        assert_eq!(said(&mut graphs, 1000), "run");
        assert_eq!(said(&mut graphs, 0), "replay 0");
        assert_eq!(said(&mut graphs, 2), "replay 0");
        assert_eq!(said(&mut graphs, 1), "run");
    }

    #[test]
    fn what_names_memory_goes_with_it() {
        let mut graphs = Graphs::default();
        for (key, addresses) in [(1, vec![100, 900]), (2, vec![300, 200]), (3, vec![])] {
            graphs.step(key);
            graphs.captured(key, 0, addresses);
        }
        graphs.forget(&(201..300));
        graphs.forget(&(301..900));
        assert_eq!([1, 2, 3].map(|key| said(&mut graphs, key)), ["replay 0", "replay 0", "replay 0"]);
        graphs.forget(&(150..201));
        assert_eq!([1, 2, 3].map(|key| said(&mut graphs, key)), ["replay 0", "run", "replay 0"]);
        graphs.forget(&(900..901));
        assert_eq!([1, 2, 3].map(|key| said(&mut graphs, key)), ["run", "capture", "replay 0"]);
    }
}
