//! The messages of `pgoutput` (PostgreSQL manual, "Logical Replication Message Formats"), as views on the bytes that came.

use crate::ingest::IngestError;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    /// As it was before, and too large to be sent for nothing.
    Unchanged,
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

pub type Tuple<'a> = Vec<Value<'a>>;

/// A column as a relation message tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct RelationColumn {
    pub name: String,
    pub type_oid: u32,
    pub modifier: i32,
}

/// Which columns the rows of a table have from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub columns: Vec<RelationColumn>,
}

/// What an update or delete says of the row before.
#[derive(Clone, Debug, PartialEq)]
pub enum Old<'a> {
    /// The columns of the key, the rest null.
    Key(Tuple<'a>),
    Whole(Tuple<'a>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    Begin {
        committed_at: i64,
        xid: u32,
        commit_lsn: u64,
    },
    Commit {
        end_lsn: u64,
    },
    Relation(Relation),
    Insert {
        oid: u32,
        new: Tuple<'a>,
    },
    Update {
        oid: u32,
        old: Option<Old<'a>>,
        new: Tuple<'a>,
    },
    Delete {
        oid: u32,
        old: Old<'a>,
    },
    Truncate {
        oids: Vec<u32>,
    },
    StreamStart {
        xid: u32,
    },
    StreamStop,
    StreamCommit {
        xid: u32,
        commit_lsn: u64,
        end_lsn: u64,
        committed_at: i64,
    },
    StreamAbort {
        xid: u32,
        subxid: u32,
    },
    /// Origins, types, messages: nothing about rows.
    Other,
}

/// What the copy stream carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece<'a> {
    Data(&'a [u8]),
    /// Everything up to here has been sent.
    Keepalive {
        end_lsn: u64,
    },
}

struct Bytes<'a>(&'a [u8]);

fn broken(what: &str) -> IngestError {
    IngestError::new("ingest-protocol", format!("the stream of changes cannot be read: {what}"))
}

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], IngestError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| broken("a message is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], IngestError> {
        self.take(N)?.try_into().map_err(|_| broken("a message is cut off"))
    }

    fn u8(&mut self) -> Result<u8, IngestError> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, IngestError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, IngestError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, IngestError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn length(&mut self) -> Result<usize, IngestError> {
        usize::try_from(self.u32()?).map_err(|_| broken("a length is too great"))
    }

    fn text(&mut self) -> Result<String, IngestError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(|| broken("a name has no end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        String::from_utf8(text.to_vec()).map_err(|_| broken("a name is not UTF-8"))
    }

    fn tuple(&mut self) -> Result<Tuple<'a>, IngestError> {
        let count = usize::from(self.u16()?);
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(match self.u8()? {
                b'n' => Value::Null,
                b'u' => Value::Unchanged,
                kind @ (b't' | b'b') => {
                    let length = self.length()?;
                    let bytes = self.take(length)?;
                    if kind == b't' { Value::Text(bytes) } else { Value::Binary(bytes) }
                }
                other => return Err(broken(&format!("a value of the kind {other}"))),
            });
        }
        Ok(values)
    }

    fn old(&mut self, kind: u8) -> Result<Old<'a>, IngestError> {
        match kind {
            b'K' => Ok(Old::Key(self.tuple()?)),
            b'O' => Ok(Old::Whole(self.tuple()?)),
            other => Err(broken(&format!("a row of the kind {other}"))),
        }
    }

    fn relation(&mut self) -> Result<Relation, IngestError> {
        let (oid, schema, name) = (self.u32()?, self.text()?, self.text()?);
        let _identity = self.u8()?;
        let count = self.u16()?;
        let mut columns = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let _is_key = self.u8()?;
            let (name, type_oid, modifier) = (self.text()?, self.u32()?, self.u32()?);
            columns.push(RelationColumn { name, type_oid, modifier: modifier.cast_signed() });
        }
        Ok(Relation { oid, schema, name, columns })
    }

    fn update(&mut self) -> Result<Body<'a>, IngestError> {
        let oid = self.u32()?;
        let kind = self.u8()?;
        let old = if kind == b'N' { None } else { Some(self.old(kind)?) };
        if old.is_some() && self.u8()? != b'N' {
            return Err(broken("an update has no new row"));
        }
        Ok(Body::Update { oid, old, new: self.tuple()? })
    }

    fn truncate(&mut self) -> Result<Body<'a>, IngestError> {
        let count = self.u32()?;
        let _flags = self.u8()?;
        Ok(Body::Truncate { oids: (0..count).map(|_| self.u32()).collect::<Result<_, _>>()? })
    }
}

/// One piece of the copy stream.
pub fn piece(bytes: &[u8]) -> Result<Piece<'_>, IngestError> {
    const HEADER_BYTES: usize = 24;
    let mut bytes = Bytes(bytes);
    match bytes.u8()? {
        b'w' => {
            bytes.take(HEADER_BYTES)?;
            Ok(Piece::Data(bytes.0))
        }
        b'k' => Ok(Piece::Keepalive { end_lsn: bytes.u64()? }),
        other => Err(broken(&format!("a piece of the kind {other}"))),
    }
}

/// One message; within a streamed block, changes are told with the (sub)transaction they belong to.
pub fn message(bytes: &[u8], is_streamed: bool) -> Result<(Option<u32>, Body<'_>), IngestError> {
    let mut bytes = Bytes(bytes);
    let kind = bytes.u8()?;
    let xid = match kind {
        b'R' | b'I' | b'U' | b'D' | b'T' if is_streamed => Some(bytes.u32()?),
        _ => None,
    };
    let body = match kind {
        b'B' => Body::Begin { commit_lsn: bytes.u64()?, committed_at: bytes.u64()?.cast_signed(), xid: bytes.u32()? },
        b'C' => {
            bytes.take(1 + 8)?;
            Body::Commit { end_lsn: bytes.u64()? }
        }
        b'R' => Body::Relation(bytes.relation()?),
        b'I' => {
            let oid = bytes.u32()?;
            if bytes.u8()? != b'N' {
                return Err(broken("an insert has no new row"));
            }
            Body::Insert { oid, new: bytes.tuple()? }
        }
        b'U' => bytes.update()?,
        b'D' => {
            let oid = bytes.u32()?;
            let kind = bytes.u8()?;
            Body::Delete { oid, old: bytes.old(kind)? }
        }
        b'T' => bytes.truncate()?,
        b'S' => Body::StreamStart { xid: bytes.u32()? },
        b'E' => Body::StreamStop,
        b'c' => {
            let xid = bytes.u32()?;
            bytes.take(1)?;
            let (commit_lsn, end_lsn) = (bytes.u64()?, bytes.u64()?);
            Body::StreamCommit { xid, commit_lsn, end_lsn, committed_at: bytes.u64()?.cast_signed() }
        }
        b'A' => Body::StreamAbort { xid: bytes.u32()?, subxid: bytes.u32()? },
        _ => Body::Other,
    };
    Ok((xid, body))
}
