use async_trait::async_trait;
use sekisho_domain::{Sha256, Timestamp};

use super::SqlStore;
use super::database::{self, Row};
use super::fields::Fields;
use crate::{KeptPolicy, PolicyRepository, StoreError};

#[async_trait]
impl PolicyRepository for SqlStore {
    async fn put_in_force(&self, set: &KeptPolicy, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        database::query(
            "INSERT INTO policy_sets (digest, name, version, text) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(set.digest.hex())
        .bind(&set.name)
        .bind(&set.version)
        .bind(&set.text)
        .execute(&mut transaction)
        .await?;
        let last: Option<String> =
            database::query_scalar("SELECT digest FROM policies_in_force ORDER BY seq DESC LIMIT 1")
                .fetch_optional(&mut transaction)
                .await?;
        if last.as_ref() != Some(&set.digest.hex()) {
            let query = database::query("INSERT INTO policies_in_force (digest, at) VALUES ($1, $2)");
            query.bind(set.digest.hex()).bind(now.unix_ms()).execute(&mut transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn policy(&self, digest: Sha256) -> Result<Option<KeptPolicy>, StoreError> {
        let query = database::query("SELECT * FROM policy_sets WHERE digest = $1").bind(digest.hex());
        query.fetch_optional(&self.database.read).await?.as_ref().map(policy).transpose()
    }

    async fn policies_in_force(&self) -> Result<Vec<(KeptPolicy, Timestamp)>, StoreError> {
        let query = database::query(
            "SELECT policy_sets.*, policies_in_force.at FROM policies_in_force
             JOIN policy_sets ON policy_sets.digest = policies_in_force.digest ORDER BY policies_in_force.seq DESC",
        );
        let rows = query.fetch_all(&self.database.read).await?;
        rows.iter()
            .map(|row| Ok((policy(row)?, Fields::of("policies_in_force", &["digest"], row).time("at")?)))
            .collect()
    }
}

fn policy(row: &Row) -> Result<KeptPolicy, StoreError> {
    let fields = Fields::of("policy_sets", &["digest"], row);
    Ok(KeptPolicy {
        digest: fields.parse("digest")?,
        name: fields.get("name")?,
        version: fields.get("version")?,
        text: fields.get("text")?,
    })
}
