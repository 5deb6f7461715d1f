//! Deletion vectors: which rows of a data file do not count any more, by Delta's format (PROTOCOL.md, "Deletion Vector Format").

use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use roaring::RoaringTreemap;
use uuid::Uuid;

use crate::lake::storage::Folder;
use crate::lake::{LakeError, LakeResult};

/// Begins a bitmap in its portable form.
const MAGIC: u32 = 1_681_511_377;
const VERSION: u8 = 1;
/// A text of base 85 that stands for the 16 bytes of a UUID.
const ENCODED_UUID_CHARS: usize = 20;

fn broken(what: impl std::fmt::Display) -> LakeError {
    LakeError::new("delta", format!("a deletion vector cannot be read: {what}"))
}

/// Several vectors as one file, with the name it must have and what the log says of each.
pub struct VectorFile {
    pub name: String,
    pub content: Vec<u8>,
    pub descriptors: Vec<DeletionVectorDescriptor>,
}

impl VectorFile {
    pub fn new(vectors: &[&RoaringTreemap]) -> LakeResult<Self> {
        let id = Uuid::new_v4();
        let mut content = vec![VERSION];
        let mut descriptors = Vec::with_capacity(vectors.len());
        for vector in vectors {
            let mut data = MAGIC.to_le_bytes().to_vec();
            vector.serialize_into(&mut data)?;
            let too_large = |_| broken("it is too large");
            let (offset, size) = (i32::try_from(content.len()), i32::try_from(data.len()));
            descriptors.push(DeletionVectorDescriptor {
                storage_type: StorageType::UuidRelativePath,
                path_or_inline_dv: z85::encode(id.as_bytes()),
                offset: Some(offset.map_err(too_large)?),
                size_in_bytes: size.map_err(too_large)?,
                cardinality: i64::try_from(vector.len()).unwrap_or(i64::MAX),
            });
            content.extend(u32::try_from(data.len()).map_err(too_large)?.to_be_bytes());
            content.extend_from_slice(&data);
            content.extend(crc32fast::hash(&data).to_be_bytes());
        }
        Ok(Self { name: format!("deletion_vector_{id}.bin"), content, descriptors })
    }
}

/// The rows that a descriptor of the log takes away from its file.
pub async fn read(folder: &Folder, descriptor: &DeletionVectorDescriptor) -> LakeResult<RoaringTreemap> {
    let text = &descriptor.path_or_inline_dv;
    let data = match descriptor.storage_type {
        StorageType::Inline => z85::decode(text).map_err(broken)?,
        StorageType::AbsolutePath => return Err(broken(format!("it lies outside the table, at {text}"))),
        StorageType::UuidRelativePath => {
            let at = text.len().checked_sub(ENCODED_UUID_CHARS).ok_or_else(|| broken("its name is too short"))?;
            let id = Uuid::from_slice(&z85::decode(&text[at..]).map_err(broken)?).map_err(broken)?;
            let name = format!("deletion_vector_{id}.bin");
            let path = if at == 0 { folder.path.clone() } else { folder.path.clone().join(&text[..at]) };
            vector_bytes(folder, &path.join(name), descriptor).await?
        }
    };
    match data.split_first_chunk::<4>() {
        Some((magic, bitmap)) if u32::from_le_bytes(*magic) == MAGIC => Ok(RoaringTreemap::deserialize_from(bitmap)?),
        _ => Err(broken("it is in another format")),
    }
}

async fn vector_bytes(folder: &Folder, path: &Path, descriptor: &DeletionVectorDescriptor) -> LakeResult<Vec<u8>> {
    const LENGTHS: u64 = 4;
    let start = u64::try_from(descriptor.offset.unwrap_or(1)).map_err(broken)? + LENGTHS;
    let size = u64::try_from(descriptor.size_in_bytes).map_err(broken)?;
    let found = folder.store.get_range(path, start..start + size + LENGTHS).await?;
    let (data, checksum) =
        found.split_at_checked(usize::try_from(size).map_err(broken)?).ok_or_else(|| broken("it is cut off"))?;
    if crc32fast::hash(data).to_be_bytes() != checksum {
        return Err(broken(format!("{path} has another checksum")));
    }
    Ok(data.to_vec())
}
