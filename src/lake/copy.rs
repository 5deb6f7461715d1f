//! A table under another name without writing its rows again: its data files are linked (on a local disk) or copied within
//! the store, and one commit names them.
//!
//! Both tables then own their files: changing, sweeping or dropping one leaves the other as it was.

use deltalake::DeltaTable;
use deltalake::kernel::Add;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::storage::Folder;
use super::table::{Lake, Replacement};
use super::{LakeError, LakeResult, TableName, partition_columns};

impl Lake {
    /// Makes `to` a table of the rows that `from` has now, in place of what is called so. The number of files.
    pub async fn clone_table(&self, from: &TableName, to: &TableName) -> LakeResult<usize> {
        let missing = || LakeError::new("relation-missing", format!("table {from} does not exist"));
        let table = self.open(from).await?.ok_or_else(missing)?;
        let (source, target) = (self.storage.folder(from)?, self.storage.folder(to)?);
        let (paths, files) = data_files(&table)?;
        if files.iter().any(|file| file.deletion_vector.is_some()) {
            return Err(LakeError::new("delta", format!("{from} has deletion vectors: it cannot be cloned")));
        }
        let _guard = self.lock(to).await;
        for path in &paths {
            share(&source, &target, path).await?;
        }
        self.put_version(&table, &target, &files).await?;
        self.uncover(to).await?;
        Ok(files.len())
    }

    async fn put_version(&self, table: &DeltaTable, target: &Folder, files: &[Add]) -> LakeResult<()> {
        let state = table.snapshot()?;
        let schema = state.snapshot().arrow_schema();
        let notes = Self::notes(table)?;
        let replacement = Replacement { added: files, notes: &notes, base: None };
        self.replace(target, &schema, &partition_columns(state.metadata()), replacement).await?;
        Ok(())
    }
}

/// The files of a table's newest version: where each lies below its folder, and as the log names it.
#[expect(deprecated, reason = "the one way to keep every statistic of a file as it is")]
fn data_files(table: &DeltaTable) -> LakeResult<(Vec<Path>, Vec<Add>)> {
    let files = table.snapshot()?.log_data();
    Ok(files.iter().map(|file| (file.object_store_path(), file.add_action())).unzip())
}

/// Puts a data file of one table into the folder of another; `below` is its path in both.
async fn share(source: &Folder, target: &Folder, below: &Path) -> LakeResult<()> {
    if below.as_ref().contains("://") {
        let message = format!("the table in {} refers to a file outside its folder: {below}", source.url);
        return Err(LakeError::new("delta", message));
    }
    if let (Some(source), Some(target)) = (&source.local, &target.local) {
        let (from, to) = (source.join(below.as_ref()), target.join(below.as_ref()));
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        return match std::fs::hard_link(&from, &to) {
            Ok(()) => Ok(()),
            // Names of data files are never used twice: what is there is this very file, linked before.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            // A file system without links, or two of them.
            Err(_) => Ok(std::fs::copy(&from, &to).map(|_| ())?),
        };
    }
    let whole = |folder: &Folder| below.parts().fold(folder.path.clone(), |path, part| path.join(part));
    source.store.copy(&whole(source), &whole(target)).await?;
    Ok(())
}
