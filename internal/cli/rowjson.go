package cli

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// jsonWriter writes an object for each row.
type jsonWriter struct {
	w                            io.Writer
	before, between, after, last string
	begun                        bool
	buf                          []byte
}

func (j *jsonWriter) Write(rec arrow.RecordBatch) error {
	e := rowjson.NewEncoder(rec.Schema())
	for i := range int(rec.NumRows()) {
		if j.begun {
			j.buf = append(j.buf, j.between...)
		} else {
			j.buf = append(j.buf, j.before...)
		}
		j.begun = true
		j.buf = append(e.AppendRow(j.buf, rec, i), j.after...)
		if len(j.buf) >= 64<<10 {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return j.flush()
}

func (j *jsonWriter) flush() error {
	_, err := j.w.Write(j.buf)
	j.buf = j.buf[:0]
	return err
}

func (j *jsonWriter) Close() error {
	if !j.begun {
		j.buf = append(j.buf, j.before...)
	}
	j.buf = append(j.buf, j.last...)
	return j.flush()
}
