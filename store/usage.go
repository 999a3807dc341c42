package store

import "fmt"

// Usage counts the requests to the storage beneath a store and the bytes of the files that they moved. On S3 these are
// requests over the network, as they are billed; in a folder they are calls.
type Usage struct {
	Reads, Writes, Lists, Deletes int64 // requests, by kind
	BytesRead, BytesWritten       int64
}

// Requests is the number of requests of all kinds.
func (u Usage) Requests() int64 { return u.Reads + u.Writes + u.Lists + u.Deletes }

// Since is what was asked after an earlier reading.
func (u Usage) Since(earlier Usage) Usage {
	return Usage{u.Reads - earlier.Reads, u.Writes - earlier.Writes, u.Lists - earlier.Lists, u.Deletes - earlier.Deletes,
		u.BytesRead - earlier.BytesRead, u.BytesWritten - earlier.BytesWritten}
}

// Plus is the sum of both.
func (u Usage) Plus(o Usage) Usage {
	return Usage{u.Reads + o.Reads, u.Writes + o.Writes, u.Lists + o.Lists, u.Deletes + o.Deletes,
		u.BytesRead + o.BytesRead, u.BytesWritten + o.BytesWritten}
}

// String is one line for people and scripts.
func (u Usage) String() string {
	return fmt.Sprintf("requests=%d reads=%d writes=%d lists=%d deletes=%d bytes_read=%d bytes_written=%d",
		u.Requests(), u.Reads, u.Writes, u.Lists, u.Deletes, u.BytesRead, u.BytesWritten)
}

// UsageOf is what a store has asked of its storage since it was opened; ok is false for a store that does not count. A
// store counts if it has a method Usage.
func UsageOf(r Reader) (u Usage, ok bool) {
	m, ok := r.(interface{ Usage() Usage })
	if !ok {
		return Usage{}, false
	}
	return m.Usage(), true
}

// Usage is that of the primary store and of those fallbacks that count.
func (f *Fallback) Usage() Usage {
	sum, _ := UsageOf(f.Store)
	for _, r := range f.fallbacks {
		u, _ := UsageOf(r)
		sum = sum.Plus(u)
	}
	return sum
}
