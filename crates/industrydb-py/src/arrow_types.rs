//! The Arrow types that frames are exported as: text and bytes with 64-bit offsets, which every
//! Arrow library supports, or another layout of the same values that a consumer requests.

use polars_arrow::array::{
    Array, BinaryArray, FixedSizeListArray, ListArray, StructArray, Utf8Array,
};
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_arrow::offset::OffsetsBuffer;
use polars_compute::cast::{binary_large_to_binary, cast_default, utf8_large_to_utf8};
use polars_core::error::{PolarsError, PolarsResult, polars_bail};

use ArrowDataType as T;

/// Returns the field that a Polars field is exported as.
///
/// A requested type is used if it is another layout of the same values: text, bytes or lists with
/// other offsets, or views. Other requests are ignored, as the interface allows: the consumer then
/// converts the values itself.
///
/// # Errors
///
/// The requested schema has other columns.
pub(crate) fn negotiated(ours: &Field, requested: Option<&Field>) -> PolarsResult<Field> {
    let dtype = form(&ours.dtype, requested.map(|field| &field.dtype))?;
    Ok(Field {
        dtype,
        ..ours.clone()
    })
}

fn form(ours: &T, requested: Option<&T>) -> PolarsResult<T> {
    Ok(match (ours, requested) {
        (T::Utf8View, Some(text @ (T::Utf8 | T::LargeUtf8 | T::Utf8View))) => text.clone(),
        (T::Utf8View, _) => T::LargeUtf8,
        (T::BinaryView, Some(bytes @ (T::Binary | T::LargeBinary | T::BinaryView))) => {
            bytes.clone()
        }
        (T::BinaryView, _) => T::LargeBinary,
        (T::LargeList(inner), Some(T::List(asked))) => {
            T::List(Box::new(negotiated(inner, Some(asked))?))
        }
        (T::LargeList(inner), Some(T::LargeList(asked))) => {
            T::LargeList(Box::new(negotiated(inner, Some(asked))?))
        }
        (T::LargeList(inner), _) => T::LargeList(Box::new(negotiated(inner, None)?)),
        (T::FixedSizeList(inner, size), Some(T::FixedSizeList(asked, _))) => {
            T::FixedSizeList(Box::new(negotiated(inner, Some(asked))?), *size)
        }
        (T::FixedSizeList(inner, size), _) => {
            T::FixedSizeList(Box::new(negotiated(inner, None)?), *size)
        }
        (T::Dictionary(keys, values, ordered), Some(T::Dictionary(_, asked, _))) => {
            T::Dictionary(*keys, Box::new(form(values, Some(asked))?), *ordered)
        }
        (T::Dictionary(keys, values, ordered), _) => {
            T::Dictionary(*keys, Box::new(form(values, None)?), *ordered)
        }
        (T::Struct(fields), Some(T::Struct(asked))) => {
            reject_others(fields, asked)?;
            let pairs = fields.iter().zip(asked);
            let field = |(field, asked)| negotiated(field, Some(asked));
            T::Struct(pairs.map(field).collect::<PolarsResult<_>>()?)
        }
        (T::Struct(fields), _) => {
            let fields = fields.iter().map(|field| negotiated(field, None));
            T::Struct(fields.collect::<PolarsResult<_>>()?)
        }
        (other, _) => other.clone(),
    })
}

/// Fails unless the names are the same, in the same order.
fn reject_others(ours: &[Field], asked: &[Field]) -> PolarsResult<()> {
    let names = |fields: &[Field]| -> Vec<_> { fields.iter().map(|f| f.name.clone()).collect() };
    let (ours, asked) = (names(ours), names(asked));
    if ours != asked {
        polars_bail!(SchemaMismatch: "the requested schema has the columns {asked:?}, and the result has {ours:?}: \
            ask for those, in their order");
    }
    Ok(())
}

/// Converts an array to the type that [`negotiated`] has returned for its field.
///
/// # Errors
///
/// The values take more than the 2 GiB that 32-bit offsets can address.
pub(crate) fn converted(array: &dyn Array, to: &T) -> PolarsResult<Box<dyn Array>> {
    if array.dtype() == to {
        return Ok(array.to_boxed());
    }
    let validity = array.validity().cloned();
    match to {
        T::Utf8 => {
            let large = cast_default(array, &T::LargeUtf8)?;
            let large = of_kind::<Utf8Array<i64>>(large.as_ref())?;
            Ok(utf8_large_to_utf8(large).map_err(too_large)?.boxed())
        }
        T::Binary => {
            let large = cast_default(array, &T::LargeBinary)?;
            let large = of_kind::<BinaryArray<i64>>(large.as_ref())?;
            let bytes = binary_large_to_binary(large, T::Binary).map_err(too_large)?;
            Ok(bytes.boxed())
        }
        T::LargeList(inner) => {
            let list = of_kind::<ListArray<i64>>(array)?;
            let values = converted(list.values().as_ref(), &inner.dtype)?;
            let offsets = list.offsets().clone();
            Ok(ListArray::try_new(to.clone(), offsets, values, validity)?.boxed())
        }
        T::List(inner) => {
            let list = of_kind::<ListArray<i64>>(array)?;
            let values = converted(list.values().as_ref(), &inner.dtype)?;
            let offsets = OffsetsBuffer::<i32>::try_from(list.offsets()).map_err(too_large)?;
            Ok(ListArray::try_new(to.clone(), offsets, values, validity)?.boxed())
        }
        T::FixedSizeList(inner, _) => {
            let list = of_kind::<FixedSizeListArray>(array)?;
            let values = converted(list.values().as_ref(), &inner.dtype)?;
            Ok(FixedSizeListArray::try_new(to.clone(), list.len(), values, validity)?.boxed())
        }
        T::Struct(fields) => {
            let rows = of_kind::<StructArray>(array)?;
            let values = rows.values().iter().zip(fields);
            let values = values.map(|(value, field)| converted(value.as_ref(), &field.dtype));
            let values = values.collect::<PolarsResult<_>>()?;
            Ok(StructArray::try_new(to.clone(), rows.len(), values, validity)?.boxed())
        }
        _ => cast_default(array, to),
    }
}

fn of_kind<A: 'static>(array: &dyn Array) -> PolarsResult<&A> {
    let found = array.as_any().downcast_ref();
    found.ok_or_else(|| PolarsError::ComputeError(format!("unexpected {:?}", array.dtype()).into()))
}

fn too_large(_: PolarsError) -> PolarsError {
    PolarsError::ComputeError(
        "the requested schema has offsets of 32 bits, and a batch's column has more than 2 GiB: ask for large_string, \
         large_binary or large_list, or for smaller batches"
            .into(),
    )
}
