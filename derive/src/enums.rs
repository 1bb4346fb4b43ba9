//! Enums: an integer says which variant it is; the fields of each variant follow it, as in a `repr(C)` struct (RFC 2195).

use crate::input::{Body, Input, assert_at, at, at_field, check_field, name_of, without_raw};
use crate::structs::collect_errors;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{DataEnum, Error, Fields, Ident, Index, Type, Variant};

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
    let values = values(tag, &variants);
    let structs: Vec<Shape> = variants.iter().map(|variant| Shape::of(input, tag, variant)).collect();
    let definitions: Vec<&Tokens> = structs.iter().map(|shape| &shape.definition).collect();
    let checks = structs.iter().map(|shape| shape.check(input));
    let described = structs.iter().zip(&variants).enumerate().map(|(number, (shape, variant))| {
        let (name, value, fields) = (without_raw(&variant.ident), value_name(number), shape.describe(input, variant));
        quote! { #private::Variant { name: #name, value: #value as i128, fields: &[#(#fields),*] } }
    });
    let layout = quote! {{
        #values
        #(#definitions)*
        #(#checks)*
        &#private::Layout {
            bytes: ::core::mem::size_of::<Self>(),
            align: ::core::mem::align_of::<Self>(),
            is_checked: true,
            form: #private::Form::Enum { tag: #private::tag(<#tag as #krate::Message>::LAYOUT), variants: &[#(#described),*] },
        }
    }};
    let arms = structs.iter().enumerate().map(|(number, shape)| {
        let (value, fields) = (value_name(number), shape.are_values(input));
        quote! { #value => true #(&& #fields)* }
    });
    let is_value = quote! {
        #values
        #(#definitions)*
        // SAFETY: the caller lends the bytes of a `Self`; they begin with the integer, and the fields of its variant lie in them.
        unsafe {
            match bytes.cast::<#tag>().read_unaligned() {
                #(#arms,)*
                #[allow(unreachable_patterns)]
                _ => false,
            }
        }
    };
    let fields = variants.iter().flat_map(|variant| &variant.fields).map(|field| field.ty.clone()).collect();
    Ok(input.implement(&Body { layout, is_value, fields, is_plain: false }))
}

fn value_name(number: usize) -> Ident {
    format_ident!("__VALUE_{number}")
}

/// The integers of the variants as constants, by the rule of the language: what is written, or one more than the one before.
fn values(tag: &Ident, variants: &[&Variant]) -> Tokens {
    let values = variants.iter().enumerate().map(|(number, variant)| {
        let name = value_name(number);
        let value = match (&variant.discriminant, number.checked_sub(1).map(value_name)) {
            (Some((_, value)), _) => quote! { #value },
            (None, Some(before)) => quote! { #before + 1 },
            (None, None) => quote! { 0 },
        };
        quote! { const #name: #tag = #value; }
    });
    quote! { #(#values)* }
}

/// A variant as the struct that it lies like: the integer, and the fields.
struct Shape<'a> {
    definition: Tokens,
    /// Its type.
    ty: Tokens,
    variant: &'a Variant,
}

impl<'a> Shape<'a> {
    fn of(input: &Input<'_>, tag: &Ident, variant: &'a Variant) -> Shape<'a> {
        let name = format_ident!("__Shape_{}", without_raw(&variant.ident));
        let (parameters, arguments, bounds) = input.generics.split_for_impl();
        if variant.fields.is_empty() {
            return Shape { definition: quote! {}, ty: quote! { #tag }, variant };
        }
        let types = variant.fields.iter().map(|field| &field.ty);
        let whole = input.name;
        let definition = quote! {
            #[repr(C)]
            #[allow(dead_code, non_camel_case_types)]
            struct #name #parameters (#tag, #(#types,)* ::core::marker::PhantomData<fn() -> #whole #arguments>) #bounds;
        };
        let turbofish = arguments.as_turbofish();
        Shape { definition, ty: quote! { #name #turbofish }, variant }
    }

    /// Where each field begins.
    fn offsets(&self) -> impl Iterator<Item = (Tokens, &'a Type)> + '_ {
        self.variant.fields.iter().enumerate().map(|(number, field)| {
            let (ty, index) = (&self.ty, Index::from(number + 1));
            (quote! { ::core::mem::offset_of!(#ty, #index) }, &field.ty)
        })
    }

    /// All bytes of the enum are those of the integer and of this variant's fields.
    fn check(&self, input: &Input<'_>) -> Tokens {
        let (private, ty) = (input.private(), &self.ty);
        let fields = self.variant.fields.iter();
        let checks = self.offsets().zip(fields).enumerate().map(|(number, ((starts, ty), field))| {
            let before = format!("before the field `{}` of `{}::{}`", name_of(field, number), input.name, self.variant.ident);
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
        let begins = match &self.variant.fields {
            Fields::Unit => quote! { ::core::mem::size_of::<#ty>() },
            _ => {
                let tag = &input.repr.integer;
                quote! { ::core::mem::size_of::<#tag>() }
            }
        };
        quote! {{
            let mut end = #begins;
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
