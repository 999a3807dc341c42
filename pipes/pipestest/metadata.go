package pipestest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// isMetadata accepts an object of typed values.
func isMetadata(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	var errs []error
	for name, value := range o {
		if err := isValue(value); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// isValue accepts a value with a type that Dagster knows and a raw value of this type.
func isValue(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	var kind string
	if err := json.Unmarshal(o["type"], &kind); err != nil {
		return fmt.Errorf("type: %w", err)
	}
	is := rawValue(kind)
	if is == nil {
		return fmt.Errorf("unknown type %q", kind)
	}
	if err := o.check(members{"type": isString, "raw_value": is}); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

// rawValue returns what the raw value of a type has to be, nil for an unknown type.
func rawValue(kind string) func(json.RawMessage) error {
	switch kind {
	case "__infer__", "null":
		return isAnything
	case "text", "url", "path", "notebook", "md", "dagster_run", "asset":
		return isString
	case "json":
		return func(raw json.RawMessage) error {
			return isKind(raw, "object, list, string or null", '{', '[', '"', 'n')
		}
	case "float":
		return isFloat
	case "int":
		return isInt
	case "bool":
		return isBool
	case "timestamp":
		return isNumber
	case "table":
		return isTable
	case "table_schema":
		return isTableSchema
	case "table_column_lineage":
		return isColumnLineage
	}
	return nil
}

// isNumber accepts a number.
func isNumber(raw json.RawMessage) error {
	return isKind(raw, "number", []byte("-0123456789")...)
}

// isFloat accepts a number that Python reads as a float.
func isFloat(raw json.RawMessage) error {
	if isNumber(raw) != nil || !bytes.ContainsAny(raw, ".eE") {
		return fmt.Errorf("%s is not a float", raw)
	}
	return nil
}

// isInt accepts a number that Python reads as an integer.
func isInt(raw json.RawMessage) error {
	if isNumber(raw) != nil || bytes.ContainsAny(raw, ".eE") {
		return fmt.Errorf("%s is not an integer", raw)
	}
	return nil
}

// isTable accepts records with scalar cells and their columns.
func isTable(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	record := func(raw json.RawMessage) error {
		o, err := decodeObject(raw)
		for name, cell := range o {
			if isKind(cell, "object or list", '{', '[') == nil {
				err = errors.Join(err, fmt.Errorf("%q: %s is not a scalar", name, cell))
			}
		}
		return err
	}
	return o.check(members{"records": isListOf(record), "schema": isListOf(isColumn)})
}

// isTableSchema accepts a list of columns.
func isTableSchema(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	return o.check(members{"columns": isListOf(isColumn)})
}

// isColumn accepts the description of a column.
func isColumn(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	want := members{"name": isString, "type": isString}
	for key, is := range (members{
		"description": orNull(isString), "tags": orNull(isObject), "constraints": orNull(isConstraints),
	}) {
		if _, ok := o[key]; ok {
			want[key] = is
		}
	}
	return o.check(want)
}

// isConstraints accepts the constraints of a column.
func isConstraints(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	return o.check(members{"nullable": isBool, "unique": isBool, "other": isListOf(isString)})
}

// isColumnLineage accepts the sources of columns.
func isColumnLineage(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	source := func(raw json.RawMessage) error {
		o, err := decodeObject(raw)
		if err != nil {
			return err
		}
		return o.check(members{"asset_key": isListOf(isString), "column_name": isString})
	}
	deps := func(raw json.RawMessage) error {
		o, err := decodeObject(raw)
		for column, sources := range o {
			if e := isListOf(source)(sources); e != nil {
				err = errors.Join(err, fmt.Errorf("%q: %w", column, e))
			}
		}
		return err
	}
	return o.check(members{"deps_by_column": deps})
}
