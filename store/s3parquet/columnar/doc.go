// Package columnar turns Parquet files into Arrow batches and back, page by page.
//
// A Parquet file has row groups; a row group has one chunk per leaf column; a chunk has pages; a page has the values of
// some rows, with definition levels that say which of them are null and repetition levels that say where lists begin.
// Reading decodes pages straight into Arrow buffers and touches only the leaves that a query names: of a struct
// column only the members, of a large file only the pages that can hold the rows. Nothing in a file is believed before
// it is checked: whatever is damaged gives an error wrapping [store.ErrCorrupt], and no allocation is larger than
// the bytes that were really read can justify.
//
// The definitions of the format (footer, page headers, indexes) come from parquet-go. Its own page reader is not
// used: it decodes whole pages into pooled buffers of its own, from which they would be copied a second time.
package columnar
