package rowjson

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// localFormat is a time without zone, which is taken as UTC.
const localFormat = "2006-01-02T15:04:05.999999999"

func setTimestamp(b array.Builder, raw []byte) error {
	const want = "a time such as 2026-01-31T12:00:00.000000Z"
	t, err := timeValue(raw)
	if err != nil {
		return unfit(raw, want)
	}
	unit := b.Type().(*arrow.TimestampType).Unit
	v, err := arrow.TimestampFromTime(t, unit)
	if err != nil {
		return unfit(raw, want)
	}
	if !v.ToTime(unit).Equal(t) {
		return fmt.Errorf("%w: %s is finer than the column's unit, %s", ErrValue, raw, unit)
	}
	b.(*array.TimestampBuilder).Append(v)
	return nil
}

func timeValue(raw []byte) (time.Time, error) {
	if raw[0] != '"' {
		return time.Time{}, ErrValue
	}
	s, err := unquote(raw)
	if err != nil {
		return time.Time{}, err
	}
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse(localFormat, s)
	}
	return t, err
}

func setDate(b array.Builder, raw []byte) error {
	const want = "a date such as 2026-01-31"
	if raw[0] != '"' {
		return unfit(raw, want)
	}
	t, err := time.Parse(time.DateOnly, string(raw[1:len(raw)-1]))
	if err != nil {
		return unfit(raw, want)
	}
	b.(*array.Date32Builder).Append(arrow.Date32FromTime(t))
	return nil
}
