use std::fmt::Display;
use std::str::FromStr;

use sekisho_domain::Timestamp;
use serde::de::DeserializeOwned;

use super::database::{Column, Row};
use crate::StoreError;

/// Reads the columns of a row; what cannot be understood is named by table, column and row.
pub(super) struct Fields<'r> {
    table: &'static str,
    /// The columns that name the row in an error.
    key: &'static [&'static str],
    row: &'r Row,
}

impl<'r> Fields<'r> {
    pub(super) fn of(table: &'static str, key: &'static [&'static str], row: &'r Row) -> Self {
        Self { table, key, row }
    }

    /// A text, a number or a truth value as it stands, or an option of one.
    pub(super) fn get<T: Column<'r>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|error| self.wrong(column, &error))
    }

    /// An id, a digest or the name of a state.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.get::<&str>(column)?.parse().map_err(|error| self.wrong(column, &error))
    }

    pub(super) fn parse_optional<T: FromStr<Err: Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(str::parse).transpose().map_err(|error| self.wrong(column, &error))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.get(column)?).map_err(|error| self.wrong(column, &error))
    }

    pub(super) fn json_optional<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(serde_json::from_str).transpose().map_err(|error| self.wrong(column, &error))
    }

    /// A number that is never negative.
    pub(super) fn count<T: TryFrom<i64, Error: Display>>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        T::try_from(self.get(column)?).map_err(|error| self.wrong(column, &error))
    }

    pub(super) fn count_optional<T: TryFrom<i64, Error: Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let number: Option<i64> = self.get(column)?;
        number.map(T::try_from).transpose().map_err(|error| self.wrong(column, &error))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_unix_ms)
    }

    pub(super) fn time_optional(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_unix_ms))
    }

    /// The error for a column whose content another module understands.
    pub(super) fn unreadable(&self, column: &'static str, message: &str) -> StoreError {
        self.wrong(column, &message)
    }

    fn wrong(&self, column: &'static str, error: &dyn Display) -> StoreError {
        let text = |name: &&str| {
            let number = || self.row.try_get::<i64>(*name).map(|number| number.to_string());
            self.row.try_get::<String>(*name).or_else(|_| number()).unwrap_or_else(|_| "?".to_owned())
        };
        let row = self.key.iter().map(text).collect::<Vec<_>>().join(" ");
        StoreError::Inconsistent { table: self.table, column, row, message: error.to_string() }
    }
}
