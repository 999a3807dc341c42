// Package delta reads and writes the log of a Delta Lake table: which Parquet files hold the table's rows, and what
// its columns are.
package delta

import "github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"

// A Table is a Delta table in a folder of a bucket. It is safe for concurrent use.
type Table struct {
	Bucket  bucket.Bucket // required
	Path    string        // the table's folder, relative to the bucket; "" means the bucket itself
	Retries int           // attempts to win a commit; 0 means 20
}
