// Package s3parquet keeps feature tables as Delta Lake tables: Parquet files and a JSON log, in a folder or on S3.
//
// Python Metaxy, delta-rs, Polars, DuckDB and Spark read what this package writes, and it reads what they write. A
// table that needs a feature of the format that is not here is refused by the feature's name, never misread.
//
// # The order of writes
//
// An append first writes its Parquet files under names that nobody else uses. Nothing reads them yet. Then it creates
// the next entry of the log, which names them; the storage lets exactly one writer create an entry. So a crash leaves
// the table as it was before or as it is after, and at most some files that no entry names. Two writers never lose
// each other's rows: the one that comes second reads what the first has written and creates the entry after it.
//
// A deletion writes the rows that stay of each file concerned into a new file, then creates the entry that takes the old
// files out and the new ones in. If another writer is faster, it looks at the files which that one has added, and at those
// that have taken the place of others, before it tries again. The old files stay for readers of older versions.
package s3parquet
