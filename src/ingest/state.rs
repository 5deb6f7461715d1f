//! What is kept beside the tables about one connection: the greatest position that the source was ever told it may forget.
//!
//! It is no position to go on from (that one is in the tables). It is what a source that forgot more is recognized by: the state
//! is on disk before the source is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::IngestError;
use crate::lake::{Lake, LakeResult};

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Which source it was: a change means another database under the same address.
    pub system: String,
    /// Where the source keeps our place: the slot.
    pub place: String,
    /// The place is being made; what is found under its name is ours, and of no worth yet.
    pub making: bool,
    /// The source may have forgotten everything up to here, nothing after it.
    pub acknowledged: i64,
    /// The lake's tables that have everything up to there. Others have a position of their own, and lack what is between.
    #[serde(default)]
    pub followed: BTreeSet<String>,
    /// Values are to be sent as text: the log has some that are not understood in their binary form.
    #[serde(default)]
    pub as_text: bool,
}

/// The file.
#[derive(Clone)]
pub struct State {
    lake: Arc<Lake>,
    name: String,
    pub told: Option<Told>,
    /// Tables of the project that come from the same source and are not followed now.
    pub unselected: Vec<String>,
}

impl State {
    pub async fn open(lake: &Arc<Lake>, connection: &str) -> LakeResult<Self> {
        let name = format!("{connection}.json");
        let mut state = Self { lake: Arc::clone(lake), name, told: None, unselected: Vec::new() };
        state.reread().await?;
        Ok(state)
    }

    /// What it says now: another process may have written it.
    pub async fn reread(&mut self) -> LakeResult<()> {
        let content = self.lake.read_note("ingest", &self.name).await?;
        self.told = content.and_then(|content| serde_json::from_slice(&content).ok());
        Ok(())
    }

    /// Tables that are followed, but not now: what they have yet to get must not be forgotten.
    pub fn waiting(&self) -> BTreeSet<String> {
        let followed = self.told.as_ref().map(|told| &told.followed);
        self.unselected.iter().filter(|name| followed.is_some_and(|followed| followed.contains(*name))).cloned().collect()
    }

    /// Writes it; it is on disk when this returns.
    pub async fn tell(&mut self, told: Told) -> Result<(), IngestError> {
        let content = serde_json::to_vec_pretty(&told).map_err(|error| IngestError::new("io", error.to_string()))?;
        self.lake.write_note("ingest", &self.name, content).await?;
        self.told = Some(told);
        Ok(())
    }

    pub async fn forget(&mut self) -> Result<(), IngestError> {
        self.lake.delete_note("ingest", &self.name).await?;
        self.told = None;
        Ok(())
    }

    /// A name that no other warehouse has.
    pub fn warehouse(&self) -> &str {
        self.lake.storage().url.as_str()
    }
}
