//! Enums: an integer says which variant it is; the fields of each variant follow it, as in a
//! `repr(C)` struct (RFC 2195).

use crate::input::{Body, Input, assert_at, at, at_field, check_field, name_of, without_raw};
use crate::structs::collect_errors;
use proc_macro2::{Span, TokenStream as Tokens};
use quote::quote;
use syn::{DataEnum, Error, Ident, Type, Variant};

const INTEGER: &str =
    "an enum that travels needs an integer that holds it in all programs: write `#[repr(u8)]` (or another integer) before it";

pub fn expand(input: &Input<'_>, data: &DataEnum) -> Result<Tokens, Error> {
    let Some(tag) = input.repr.integer.as_ref().filter(|_| !input.repr.is_c) else {
        return Err(Error::new(input.name.span(), INTEGER));
    };
    if data.variants.is_empty() {
        return Err(Error::new(input.name.span(), "an enum without variants has no value that could travel"));
    }
    let variants: Vec<&Variant> = data.variants.iter().collect();
    collect_errors(variants.iter().flat_map(|variant| &variant.fields).map(|field| check_field(input.name, field)))?;
    let (krate, private) = (&input.krate, input.private());
    // The primitive type, even if the program has a type of the same name.
    let tag = &quote! { ::core::primitive::#tag };
    let (values_of, all) = (values(tag, &variants), hygienic("values"));
    let structs: Vec<Shape> = variants.iter().map(|&variant| Shape { tag, variant }).collect();
    let checks = structs.iter().map(|shape| shape.check(input));
    let described = structs.iter().zip(&variants).enumerate().map(|(number, (shape, variant))| {
        let (name, fields) = (without_raw(&variant.ident), shape.describe(input, variant));
        quote! { #private::Variant { name: #name, value: #all[#number] as ::core::primitive::i128, fields: &[#(#fields),*] } }
    });
    let layout = quote! {{
        let #all = #values_of;
        #(#checks)*
        &#private::Layout {
            bytes: ::core::mem::size_of::<Self>(),
            align: ::core::mem::align_of::<Self>(),
            is_checked: true,
            form: #private::Form::Enum { tag: #private::tag(<#tag as #krate::Message>::LAYOUT), variants: &[#(#described),*] },
        }
    }};
    let found = hygienic("found");
    let cases = structs.iter().enumerate().map(|(number, shape)| {
        let fields = shape.are_values(input);
        quote! {
            if #found == #all[#number] {
                return true #(&& #fields)*;
            }
        }
    });
    let is_value = quote! {
        let #all = #values_of;
        // SAFETY: the caller lends the bytes of a `Self`. They begin with the integer, and the
        // fields of its variant are inside them.
        unsafe {
            let #found = bytes.cast::<#tag>().read_unaligned();
            #(#cases)*
            false
        }
    };
    let fields = variants.iter().flat_map(|variant| &variant.fields).map(|field| field.ty.clone()).collect();
    Ok(input.implement(&Body { layout, is_value, fields, is_plain: false }))
}

/// A variable that no code of the program can name. The macro writes no items beside the program's:
/// items have no such hygiene.
fn hygienic(name: &str) -> Ident {
    Ident::new(&format!("__shmq_{name}"), Span::mixed_site())
}

/// The integers of the variants as an array, by the rule of the language: the one that is written,
/// or one more than that of the variant before.
fn values(tag: &Tokens, variants: &[&Variant]) -> Tokens {
    let names: Vec<Ident> = (0..variants.len()).map(|number| hygienic(&format!("value_{number}"))).collect();
    let values = variants.iter().enumerate().map(|(number, variant)| {
        let name = &names[number];
        let value = match (&variant.discriminant, number.checked_sub(1).map(|before| &names[before])) {
            (Some((_, value)), _) => quote! { #value },
            (None, Some(before)) => quote! { #before + 1 },
            (None, None) => quote! { 0 },
        };
        quote! { let #name: #tag = #value; }
    });
    quote! {
        const {
            #(#values)*
            [#(#names),*]
        }
    }
}

/// A variant as the `repr(C)` struct whose layout it has: the integer, and the fields, each of
/// which begins where the one before it ends.
struct Shape<'a> {
    tag: &'a Tokens,
    variant: &'a Variant,
}

impl<'a> Shape<'a> {
    /// Where each field begins if there is no padding, which `check` ensures.
    fn offsets(&self) -> impl Iterator<Item = (Tokens, &'a Type)> + '_ {
        let tag = self.tag;
        let mut end = quote! { ::core::mem::size_of::<#tag>() };
        self.variant.fields.iter().map(move |field| {
            let (starts, ty) = (end.clone(), &field.ty);
            end = quote! { #end + ::core::mem::size_of::<#ty>() };
            (starts, ty)
        })
    }

    /// All bytes of the enum are those of the integer and of this variant's fields.
    fn check(&self, input: &Input<'_>) -> Tokens {
        let (private, tag) = (input.private(), self.tag);
        let checks = self.variant.fields.iter().enumerate().map(|(number, field)| {
            let ty = &field.ty;
            let before = format!("before the field `{}` of `{}::{}`", name_of(field, number), input.name, self.variant.ident);
            // The field begins at the next multiple of its alignment.
            let starts = quote! { end.next_multiple_of(::core::mem::align_of::<#ty>()) };
            let check = assert_at(
                at_field(field),
                &quote! { #starts == end },
                &quote! { #private::Sentence::of_padding(#before, #starts - end) },
            );
            quote! {
                #check
                end += ::core::mem::size_of::<#ty>();
            }
        });
        let unused = format!("by the variant `{}::{}`", input.name, self.variant.ident);
        let whole = assert_at(
            at(&self.variant.ident),
            &quote! { ::core::mem::size_of::<Self>() == end },
            &quote! { #private::Sentence::of_variant(#unused, ::core::mem::size_of::<Self>() - end) },
        );
        quote! {{
            let mut end = ::core::mem::size_of::<#tag>();
            #(#checks)*
            #whole
        }}
    }

    fn describe(&self, input: &'a Input<'_>, variant: &'a Variant) -> impl Iterator<Item = Tokens> {
        let (krate, private) = (&input.krate, input.private());
        self.offsets().zip(&variant.fields).enumerate().map(move |(number, ((offset, ty), field))| {
            let name = name_of(field, number);
            quote! { #private::Field { name: #name, offset: #offset, layout: <#ty as #krate::Message>::LAYOUT } }
        })
    }

    fn are_values(&self, input: &Input<'_>) -> impl Iterator<Item = Tokens> {
        let krate = &input.krate;
        self.offsets().map(move |(offset, ty)| quote! { <#ty as #krate::Message>::is_value(bytes.add(#offset)) })
    }
}
