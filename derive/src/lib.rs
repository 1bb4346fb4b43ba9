//! The attribute `#[shmq::message]`. Its documentation is that of the crate `shmq`, through which
//! it is used.

mod enums;
mod input;
mod structs;

use input::Input;
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::Parser;
use syn::{Data, DeriveInput, Error, Path, parse_quote};

/// See the documentation of the crate `shmq`.
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = Tokens::from(item);
    match expand(arguments.into(), item.clone()) {
        Ok(expanded) => expanded.into(),
        // The item stays, or each use of it would be an error as well.
        Err(error) => {
            let error = error.into_compile_error();
            quote! { #error #item }.into()
        }
    }
}

/// The derive that `message` writes before an item. Not to be written by hand: the attribute adds
/// the `repr` as well.
#[proc_macro_derive(MessageImpl, attributes(shmq_message))]
pub fn message_impl(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as DeriveInput);
    let expanded = Input::of(&item).and_then(|input| match &item.data {
        Data::Struct(data) => structs::expand(&input, data),
        Data::Enum(data) => enums::expand(&input, data),
        Data::Union(data) => Err(Error::new(data.union_token.span, input::UNION)),
    });
    expanded.unwrap_or_else(|error| input::refused(&item, &error)).into()
}

/// Adds the `repr` and the derive. The derive sees the item after `#[cfg]` has removed fields.
fn expand(arguments: Tokens, item: Tokens) -> Result<Tokens, Error> {
    let krate = krate(arguments)?;
    let parsed: DeriveInput =
        syn::parse2(item.clone()).map_err(|error| Error::new(error.span(), "`#[shmq::message]` is for a struct or an enum"))?;
    let layout = match parsed.data {
        Data::Struct(_) if !input::Repr::of(&parsed.attrs)?.is_fixed() => quote! { #[repr(C)] },
        _ => quote! {},
    };
    // As tokens, not as text: `$crate` is resolved by its span.
    Ok(quote! {
        #[derive(#krate::__private::MessageImpl)]
        #[shmq_message(#krate)]
        #layout
        #item
    })
}

/// The path of the crate in the program: `::shmq`, or what `crate = path` sets.
fn krate(arguments: Tokens) -> Result<Path, Error> {
    let mut krate: Path = parse_quote! { ::shmq };
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            krate = meta.value()?.parse()?;
            Ok(())
        } else {
            Err(meta.error("`#[shmq::message]` knows one argument: `crate = path`, for a crate that is renamed in Cargo.toml"))
        }
    });
    parser.parse2(arguments)?;
    Ok(krate)
}
