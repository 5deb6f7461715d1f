//! Making files outlast a power cut: what is only in the system's memory is not yet written.

use std::fs::File;
use std::path::PathBuf;

use crate::lake::storage::{Folder, PRIVATE, encode};
use crate::lake::{Lake, LakeError, LakeResult};

/// Waits until files below a local folder, and their names, are on disk. Object stores answer only then anyway.
pub async fn flush(folder: &Folder, below: Vec<String>) -> LakeResult<()> {
    let Some(local) = folder.local.clone() else { return Ok(()) };
    let done = tokio::task::spawn_blocking(move || {
        let mut parents: Vec<PathBuf> = Vec::new();
        for path in below {
            let path = local.join(path);
            File::open(&path)?.sync_all()?;
            if let Some(parent) = path.parent().filter(|parent| !parents.iter().any(|known| known == parent)) {
                parents.push(parent.to_path_buf());
            }
        }
        parents.iter().try_for_each(|parent| File::open(parent)?.sync_all())
    });
    done.await.map_err(|error| LakeError::new("io", error.to_string()))?.map_err(LakeError::from)
}

/// Small files about the warehouse that are neither tables nor catalog, by kind and name.
impl Lake {
    fn note(&self, kind: &str, name: &str) -> LakeResult<(Folder, String)> {
        Ok((self.storage.folder_at(&[PRIVATE, kind])?, encode(name)?))
    }

    pub async fn read_note(&self, kind: &str, name: &str) -> LakeResult<Option<Vec<u8>>> {
        let (folder, file) = self.note(kind, name)?;
        self.storage.get(&folder.path.join(file)).await
    }

    /// Writes a note whole; it is on disk when this returns.
    pub async fn write_note(&self, kind: &str, name: &str, content: Vec<u8>) -> LakeResult<()> {
        let (folder, file) = self.note(kind, name)?;
        self.storage.put(&folder.path.clone().join(file.as_str()), content).await?;
        flush(&folder, vec![file]).await
    }

    pub async fn delete_note(&self, kind: &str, name: &str) -> LakeResult<()> {
        let (folder, file) = self.note(kind, name)?;
        self.storage.delete(&folder.path.join(file)).await
    }
}
