//! Documents looked through for items of benchmarks, many at a time.

use rayon::prelude::*;
use sekisho_bench::contamination::{Index, Match};

/// Text that is held in memory at a time, bytes.
const BATCH: usize = 16 << 20;

/// Where an item was first found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The document, from 0, in the order in which they were read.
    pub document: u64,
    /// What of the item stands there, normalised.
    pub passage: String,
}

/// A subset that is being looked through.
pub struct Scan<'a> {
    index: &'a Index,
    documents: u64,
    found: Vec<Option<Found>>,
}

impl<'a> Scan<'a> {
    /// For the items of an index; nothing is read yet.
    #[must_use]
    pub fn new(index: &'a Index) -> Self {
        Self { index, documents: 0, found: vec![None; index.len()] }
    }

    /// Looks through documents, on all threads of the pool. What is found does not depend on how many there are.
    ///
    /// # Errors
    /// The first error of `documents`.
    pub fn read<E>(&mut self, documents: impl IntoIterator<Item = Result<String, E>>) -> Result<(), E> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for document in documents {
            let document = document?;
            bytes += document.len();
            batch.push(document);
            if bytes >= BATCH {
                self.look(&batch);
                batch.clear();
                bytes = 0;
            }
        }
        self.look(&batch);
        Ok(())
    }

    fn look(&mut self, batch: &[String]) {
        let (index, known) = (self.index, &self.found);
        let matches: Vec<Vec<Match>> = batch
            .par_iter()
            .map(|document| index.matches(document, |item| known.get(item).is_some_and(Option::is_some)))
            .collect();
        for of_document in matches {
            for Match { item, passage } in of_document {
                self.found[item].get_or_insert(Found { document: self.documents, passage });
            }
            self.documents += 1;
        }
    }

    /// Documents looked through.
    #[must_use]
    pub const fn documents(&self) -> u64 {
        self.documents
    }

    /// Where each item was first found, in the order of the index; none of those that were not.
    #[must_use]
    pub fn found(&self) -> &[Option<Found>] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use sekisho_bench::contamination::Index;
    use sekisho_domain::wire::ContaminationMethod;

    use super::{BATCH, Scan};

    #[test]
    fn the_first_document_is_named_however_they_are_read() {
        let words = |from: usize| (from..from + 13).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        let items = [vec![words(0)], vec![words(100)], vec![words(200)]];
        let index = Index::new(ContaminationMethod::default(), &items);
        let mut scan = Scan::new(&index);
        let filler = "x ".repeat(BATCH / 2);
        let documents = ["nothing".to_owned(), words(100), filler, words(0), words(100) + "\n" + &words(0)];
        let (first, rest) = documents.split_at(2);
        for part in [first, rest] {
            scan.read(part.iter().cloned().map(Ok::<_, Infallible>)).expect("read");
        }
        let places: Vec<Option<u64>> = scan.found().iter().map(|f| f.as_ref().map(|f| f.document)).collect();
        assert_eq!((places.as_slice(), scan.documents()), (&[Some(3), Some(1), None][..], 5));
        assert_eq!(scan.found()[1].as_ref().expect("found").passage, words(100));
        assert_eq!(scan.read([Err("gone")]), Err("gone"));
    }
}
