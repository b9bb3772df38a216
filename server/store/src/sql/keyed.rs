use async_trait::async_trait;
use sekisho_domain::{Sha256, Timestamp};

use super::SqlStore;
use super::database;
use super::fields::Fields;
use crate::{KeptAnswer, KeyStanding, KeyedRepository, KeyedRequest, StoreError};

#[async_trait]
impl KeyedRepository for SqlStore {
    async fn begin_keyed(
        &self,
        request: &KeyedRequest,
        forget_before: Timestamp,
        now: Timestamp,
    ) -> Result<KeyStanding, StoreError> {
        let mut transaction = self.begin().await?;
        database::query("DELETE FROM keyed_requests WHERE at < $1")
            .bind(forget_before.unix_ms())
            .execute(&mut transaction)
            .await?;
        let known = database::query("SELECT * FROM keyed_requests WHERE user_id = $1 AND key = $2")
            .bind(request.user.to_string())
            .bind(&request.key)
            .fetch_optional(&mut transaction)
            .await?;
        let standing = match known {
            Some(row) => {
                let fields = Fields::of("keyed_requests", &["user_id", "key"], &row);
                if fields.parse::<Sha256>("digest")? == request.digest {
                    answer(&fields)?.map_or(KeyStanding::Running, KeyStanding::Answered)
                } else {
                    KeyStanding::Other
                }
            }
            None => {
                database::query(
                    "INSERT INTO keyed_requests (user_id, key, digest, at) VALUES ($1, $2, $3, $4)",
                )
                .bind(request.user.to_string())
                .bind(&request.key)
                .bind(request.digest.hex())
                .bind(now.unix_ms())
                .execute(&mut transaction)
                .await?;
                KeyStanding::New
            }
        };
        transaction.commit().await?;
        Ok(standing)
    }

    async fn keep_answer(&self, request: &KeyedRequest, answer: &KeptAnswer) -> Result<(), StoreError> {
        database::query(
            "UPDATE keyed_requests SET status = $3, content_type = $4, body = $5 WHERE user_id = $1 AND key = $2",
        )
        .bind(request.user.to_string())
        .bind(&request.key)
        .bind(i64::from(answer.status))
        .bind(&answer.content_type)
        .bind(&answer.body)
        .execute(&self.database)
        .await?;
        Ok(())
    }

    async fn drop_keyed(&self, request: &KeyedRequest) -> Result<(), StoreError> {
        database::query("DELETE FROM keyed_requests WHERE user_id = $1 AND key = $2")
            .bind(request.user.to_string())
            .bind(&request.key)
            .execute(&self.database)
            .await?;
        Ok(())
    }

    async fn free_keyed(&self) -> Result<(), StoreError> {
        database::query("DELETE FROM keyed_requests WHERE status IS NULL").execute(&self.database).await?;
        Ok(())
    }
}

fn answer(fields: &Fields<'_>) -> Result<Option<KeptAnswer>, StoreError> {
    let Some(status) = fields.count_optional("status")? else { return Ok(None) };
    Ok(Some(KeptAnswer { status, content_type: fields.get("content_type")?, body: fields.get("body")? }))
}
