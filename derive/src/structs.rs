//! Structs: each field begins where the one before it ends.

use crate::input::{Body, Input, assert_at, at, at_field, check_field, name_of};
use proc_macro2::{Span, TokenStream as Tokens};
use quote::{quote, quote_spanned};
use syn::{DataStruct, Error, Field, Index, Member};

pub fn expand(input: &Input<'_>, data: &DataStruct) -> Result<Tokens, Error> {
    if !input.repr.is_fixed() {
        return Err(Error::new(Span::call_site(), "write `#[shmq::message]` before the type, which adds `#[repr(C)]`"));
    }
    let fields: Vec<&Field> = data.fields.iter().collect();
    collect_errors(fields.iter().map(|field| check_field(input.name, field)))?;
    let (krate, private) = (&input.krate, input.private());
    let checks = fields.iter().enumerate().map(|(number, field)| {
        let (member, place) = (member(field, number), at_field(field));
        let (ty, name) = (&field.ty, name_of(field, number));
        let starts = quote! { ::core::mem::offset_of!(Self, #member) };
        let before = format!("before the field `{name}` of `{}`", input.name);
        let check =
            assert_at(place, &quote! { #starts == end }, &quote! { #private::Sentence::of_padding(#before, #starts - end) });
        quote! {
            #check
            end += ::core::mem::size_of::<#ty>();
        }
    });
    let end = format!("at the end of `{}`", input.name);
    let whole = assert_at(
        fields.last().map_or_else(|| at(input.name), |field| at_field(field)),
        &quote! { ::core::mem::size_of::<Self>() == end },
        &quote! { #private::Sentence::of_end(#end, ::core::mem::size_of::<Self>() - end) },
    );
    let described = describe(input, &fields);
    let form = if input.repr.is_transparent {
        quote! { transparent }
    } else {
        quote! { Struct }
    };
    let types: Vec<_> = fields.iter().map(|field| field.ty.clone()).collect();
    let layout = quote! {{
        let mut end = 0;
        #(#checks)*
        #whole
        &#private::Layout {
            bytes: ::core::mem::size_of::<Self>(),
            align: ::core::mem::align_of::<Self>(),
            is_checked: false #(|| <#types as #krate::Message>::LAYOUT.is_checked)*,
            form: #private::Form::#form(&[#(#described),*]),
        }
    }};
    let values = fields.iter().enumerate().map(|(number, field)| {
        let (member, ty) = (member(field, number), &field.ty);
        quote! { && <#ty as #krate::Message>::is_value(bytes.add(::core::mem::offset_of!(Self, #member))) }
    });
    let is_value = quote! {
        // SAFETY: the caller lends the bytes of a `Self`, and each field is inside them.
        unsafe { true #(#values)* }
    };
    Ok(input.implement(&Body { layout, is_value, fields: types, is_plain: true }))
}

fn describe<'a>(input: &'a Input<'_>, fields: &'a [&Field]) -> impl Iterator<Item = Tokens> + 'a {
    let (krate, private) = (&input.krate, input.private());
    fields.iter().enumerate().map(move |(number, field)| {
        let (member, name, ty) = (member(field, number), name_of(field, number), &field.ty);
        quote! {
            #private::Field {
                name: #name,
                offset: ::core::mem::offset_of!(Self, #member),
                layout: <#ty as #krate::Message>::LAYOUT,
            }
        }
    })
}

fn member(field: &Field, number: usize) -> Tokens {
    let member = field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(number)), Member::Named);
    let place = at_field(field);
    quote_spanned! { place => #member }
}

/// Combines all errors into one.
pub fn collect_errors(results: impl IntoIterator<Item = Result<(), Error>>) -> Result<(), Error> {
    let errors = results.into_iter().filter_map(Result::err).reduce(|mut all, error| {
        all.combine(error);
        all
    });
    errors.map_or(Ok(()), Err)
}
