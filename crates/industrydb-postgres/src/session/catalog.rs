//! Looks up types that are not built in, those of users and extensions, in PostgreSQL's catalog.

use std::collections::HashMap;

use industrydb_core::{ColumnType, Result, Stop};

use crate::encode::Encoding;
use crate::session::connect::Session;
use crate::sql::casts;
use crate::sql::statements;
use crate::types::DescribedColumn;
use crate::types::order::{Order, type_in_catalog};
use crate::types::{Cast, Decoding, TypeEntry, built_in, built_in_element, innermost};

/// Largest depth to which types within types are looked up. No type contains itself.
const MAX_DEPTH: usize = 16;

/// The type `"char"`, of one byte.
const SINGLE_CHAR: u32 = 18;

/// The catalog's data of some types, and of all types that they consist of.
pub(crate) struct Catalog(HashMap<u32, Type>);

struct Type {
    name: String,
    literal: String,
    structure: Structure,
    /// Operators that order the values, if there are any.
    order: Option<Order>,
    /// Output function of the type, if a cast to text may give another text.
    output: Option<String>,
}

enum Structure {
    Enum,
    Domain(Part),
    Array(u32),
    Composite(Vec<(String, Part)>),
    /// The `vector` type of the extension pgvector.
    Vector,
    Record,
    Other,
}

/// OID and modifier of a type.
#[derive(Clone, Copy)]
struct Part(u32, i32);

/// Finds the type of each column.
pub(crate) fn entries(
    columns: &[DescribedColumn],
    session: &mut Session,
    stop: &Stop,
) -> Result<Vec<TypeEntry>> {
    let oids = columns.iter().map(|column| column.oid);
    let unknown: Vec<u32> = oids.filter(|oid| built_in(*oid, -1).is_none()).collect();
    let catalog = Catalog::look_up(unknown, session, stop)?;
    let entry = |column: &DescribedColumn| catalog.entry_of(column.oid, column.modifier);
    Ok(columns.iter().map(entry).collect())
}

impl Catalog {
    /// Asks for types by their OIDs, and for all types that they consist of.
    pub(crate) fn look_up(oids: Vec<u32>, session: &mut Session, stop: &Stop) -> Result<Self> {
        let mut catalog = Self::empty();
        let mut missing = oids;
        for _ in 0..MAX_DEPTH {
            missing.retain(|oid| !catalog.0.contains_key(oid) && built_in(*oid, -1).is_none());
            missing.sort_unstable();
            missing.dedup();
            if missing.is_empty() {
                break;
            }
            let rows = session.rows(&statements::types(&missing), &[], stop)?;
            missing.clear();
            for (oid, found) in rows.into_iter().filter_map(Type::new) {
                match &found.structure {
                    Structure::Domain(Part(base, _)) | Structure::Array(base) => {
                        missing.push(*base);
                    }
                    Structure::Composite(fields) => {
                        missing.extend(fields.iter().map(|(_, Part(field, _))| field));
                    }
                    _ => {}
                }
                catalog.0.insert(oid, found);
            }
        }
        Ok(catalog)
    }

    /// Returns a catalog of the built-in types only, which needs no query.
    pub(crate) fn empty() -> Self {
        Self(HashMap::new())
    }

    /// Returns the entry of a type, built in or not.
    pub(crate) fn entry_of(&self, oid: u32, modifier: i32) -> TypeEntry {
        built_in(oid, modifier).unwrap_or_else(|| self.entry(oid, modifier))
    }

    /// Returns the entry of a type that is not built in. Its values are read as text if the catalog
    /// shows no better decoding.
    fn entry(&self, oid: u32, modifier: i32) -> TypeEntry {
        let decoding = self.decoding(Part(oid, modifier), MAX_DEPTH);
        let (literal, order) = self.compared(oid, MAX_DEPTH);
        match self.0.get(&oid) {
            Some(found) => TypeEntry {
                name: found.name.clone(),
                literal,
                order,
                decoding,
                is_composite: matches!(
                    found.structure,
                    Structure::Composite(_) | Structure::Record
                ),
            },
            None => TypeEntry {
                name: format!("type {oid}"),
                literal,
                order,
                decoding,
                is_composite: true,
            },
        }
    }

    /// Returns the type that a text literal is cast to for a comparison with values of a type, and
    /// the operators that order the values. Values of a domain are compared as its base type's,
    /// since a cut need not fulfil the domain's constraints.
    fn compared(&self, oid: u32, depth: usize) -> (String, Order) {
        let Some((found, depth)) = self.0.get(&oid).zip(depth.checked_sub(1)) else {
            return (type_in_catalog("text"), Order::built_in());
        };
        let Structure::Domain(Part(base, _)) = found.structure else {
            let order = found.order.clone().unwrap_or_else(Order::built_in);
            return (order.of(&found.literal), order);
        };
        let (literal, order, name) = if let Some(entry) = built_in(base, -1) {
            (
                entry.literal,
                entry.order,
                Some(type_in_catalog(&entry.name)),
            )
        } else {
            let (literal, order) = self.compared(base, depth);
            let base = self.0.get(&base);
            (literal, order, base.map(|base| base.literal.clone()))
        };
        let of_type = order.of_type.clone().or(name);
        (literal, Order { of_type, ..order })
    }

    /// Returns the type that a text is cast to before it is assigned to a column of a type, if it
    /// is not the type itself. For a domain it is the base type: a cast to the domain would cut a
    /// value that is too long, and an assignment does not.
    pub(crate) fn literal(&self, oid: u32) -> Option<String> {
        let base = |oid: u32| {
            self.literal(oid).or_else(|| {
                let built_in = built_in(oid, -1).map(|entry| type_in_catalog(&entry.name));
                built_in.or_else(|| Some(self.0.get(&oid)?.literal.clone()))
            })
        };
        match self.0.get(&oid)?.structure {
            Structure::Domain(Part(inner, _)) => base(inner),
            Structure::Array(element) => self.literal(element).map(|element| element + "[]"),
            _ => None,
        }
    }

    /// Returns the encoding of a frame's column for a type; `None` if the conversion would not be
    /// exact, or would need the server.
    pub(crate) fn encoding(&self, from: &ColumnType, oid: u32) -> Option<Encoding> {
        if *from == ColumnType::Null {
            return Some(Encoding::Null);
        }
        let array = |element: u32| match from {
            ColumnType::List(_) => {
                let encoding = self.encoding(innermost(from).0, element)?;
                Some(Encoding::Array(element, Box::new(encoding)))
            }
            _ => None,
        };
        if oid == SINGLE_CHAR && *from == ColumnType::String {
            return Some(Encoding::Bytes); // the server's cast would truncate the text
        }
        if let Some(element) = built_in_element(oid) {
            return array(element);
        }
        if let Some(entry) = built_in(oid, -1) {
            return Encoding::of(from, &entry.decoding);
        }
        match (&self.0.get(&oid)?.structure, from) {
            (Structure::Enum, _) => Encoding::of(from, &Decoding::Text),
            (Structure::Domain(Part(base, _)), _) => self.encoding(from, *base),
            (Structure::Array(element), _) => array(*element),
            (Structure::Composite(fields), ColumnType::Struct(given)) => {
                if !given
                    .iter()
                    .all(|(name, _)| fields.iter().any(|(field, _)| field == name))
                {
                    return None;
                }
                let field = |(name, Part(oid, _)): &(String, Part)| {
                    let place = given.iter().position(|(given, _)| given == name);
                    let from = place.map_or(&ColumnType::Null, |place| &given[place].1);
                    let encoding = self.encoding(from, *oid)?;
                    Some((*oid, place.unwrap_or(given.len()), encoding))
                };
                Some(Encoding::Composite(
                    fields.iter().map(field).collect::<Option<_>>()?,
                ))
            }
            _ => None,
        }
    }

    fn decoding(&self, Part(oid, modifier): Part, depth: usize) -> Decoding {
        if let Some(entry) = built_in(oid, modifier) {
            return entry.decoding;
        }
        let Some((found, depth)) = self.0.get(&oid).zip(depth.checked_sub(1)) else {
            return Decoding::printed();
        };
        match &found.structure {
            Structure::Enum => Decoding::Text,
            Structure::Domain(Part(base, -1)) => self.decoding(Part(*base, modifier), depth),
            Structure::Domain(base) => self.decoding(*base, depth),
            Structure::Array(array_of) => {
                let element = self.decoding(Part(*array_of, modifier), depth);
                // The server can cast the elements of an array, but neither their fields nor the
                // elements of arrays within them.
                let is_sent =
                    !matches!(element, Decoding::List { .. }) && !casts::is_cast(&element);
                if is_sent {
                    Decoding::list(element)
                } else if self.is_cast_otherwise(*array_of, depth) {
                    Decoding::Cast(Cast::PrintedList, Box::new(Decoding::list(Decoding::Text)))
                } else {
                    Decoding::printed_list()
                }
            }
            Structure::Composite(fields) if !fields.is_empty() => {
                let field =
                    |(name, part): &(String, Part)| (name.clone(), self.decoding(*part, depth));
                Decoding::Composite(fields.iter().map(field).collect())
            }
            Structure::Vector => {
                let floats = Decoding::List {
                    element: Box::new(Decoding::Float4),
                    dimensions: Some(1),
                };
                Decoding::Cast(Cast::To("float4[]"), Box::new(floats))
            }
            Structure::Composite(_) | Structure::Record | Structure::Other => found
                .output
                .clone()
                .map_or_else(Decoding::printed, Decoding::printed_by),
        }
    }

    /// Returns whether a cast to text may give another text of a type's values than its output
    /// function. A domain is cast as its base type.
    fn is_cast_otherwise(&self, oid: u32, depth: usize) -> bool {
        let Some((found, depth)) = self.0.get(&oid).zip(depth.checked_sub(1)) else {
            return false;
        };
        match found.structure {
            Structure::Domain(Part(base, _)) => self.is_cast_otherwise(base, depth),
            _ => found.output.is_some(),
        }
    }
}

impl Type {
    /// Reads a row of the answer to [`statements::types`].
    fn new(row: Vec<Option<String>>) -> Option<(u32, Self)> {
        let [
            oid,
            name,
            literal,
            kind,
            is_vector,
            element,
            base,
            modifier,
            fields,
            of_type,
            less,
            at_least,
            output,
        ] = <[Option<String>; 13]>::try_from(row).ok()?;
        let number = |text: Option<String>| text?.parse::<u32>().ok();
        let structure = match (kind?.as_str(), number(element)) {
            (_, Some(element)) => Structure::Array(element),
            ("e", _) => Structure::Enum,
            ("d", _) => Structure::Domain(Part(number(base)?, modifier?.parse().ok()?)),
            ("c", _) => {
                let fields: Vec<(String, u32, i32)> =
                    serde_json::from_str(&fields.unwrap_or_else(|| "[]".to_owned())).ok()?;
                let field = |(name, oid, modifier)| (name, Part(oid, modifier));
                Structure::Composite(fields.into_iter().map(field).collect())
            }
            ("p", _) => Structure::Record,
            _ if is_vector.as_deref() == Some("t") => Structure::Vector,
            _ => Structure::Other,
        };
        let found = Self {
            name: name?,
            literal: literal?,
            structure,
            order: less.zip(at_least).map(|(less, at_least)| Order {
                of_type,
                less,
                at_least,
            }),
            output,
        };
        Some((number(oid)?, found))
    }
}
