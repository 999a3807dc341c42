package pipestest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// Check tells what Dagster would not take of the messages of a whole session, nil if it takes all: the order of
// messages, their parameters and the metadata have to be as its reader enforces them. It is stricter than the reader in
// one point: it wants a session to be closed.
func Check(messages []pipes.Message) error {
	var errs []error
	if len(messages) == 0 || messages[0].Method != pipes.MethodOpened {
		errs = append(errs, errors.New("the first message is not opened"))
	}
	if n := len(messages); n == 0 || messages[n-1].Method != pipes.MethodClosed {
		errs = append(errs, errors.New("the last message is not closed"))
	}
	seen := make(map[string]bool)
	for i, m := range messages {
		err := checkMessage(m)
		if err == nil {
			err = checkOnce(seen, m)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("message %d (%s): %w", i, m.Method, err))
		}
	}
	return errors.Join(errs...)
}

// checkOnce refuses a second opened or closed message, and a second materialization of one asset.
func checkOnce(seen map[string]bool, m pipes.Message) error {
	id := string(m.Method)
	switch m.Method {
	case pipes.MethodOpened, pipes.MethodClosed:
	case pipes.MethodMaterialize:
		params, err := decodeObject(m.Params)
		if err != nil {
			return err
		}
		id += " of " + string(params["asset_key"])
	default:
		return nil
	}
	if seen[id] {
		return fmt.Errorf("%s is there twice", id)
	}
	seen[id] = true
	return nil
}

// checkMessage checks a message by itself.
func checkMessage(m pipes.Message) error {
	if m.Version != pipes.ProtocolVersion {
		return fmt.Errorf("version is %q, not %q", m.Version, pipes.ProtocolVersion)
	}
	params, err := decodeObject(m.Params)
	if err != nil {
		return fmt.Errorf("params: %w", err)
	}
	switch m.Method {
	case pipes.MethodOpened:
		return params.check(members{"extras": isObject})
	case pipes.MethodClosed:
		if len(params) == 0 {
			return nil
		}
		return params.check(members{"exception": isException})
	case pipes.MethodLog:
		return params.check(members{
			"message": isString, "level": isOneOf("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
		})
	case pipes.MethodMaterialize:
		return params.check(members{
			"asset_key": isAssetKey, "data_version": orNull(isString), "metadata": orNull(isMetadata),
		})
	case pipes.MethodCheck:
		return params.check(members{
			"asset_key": isAssetKey, "check_name": isFilled, "passed": isBool, "severity": isOneOf("WARN", "ERROR"),
			"metadata": orNull(isMetadata),
		})
	case pipes.MethodCustom:
		return params.check(members{"payload": isAnything})
	case pipes.MethodExternalStream:
		return params.check(members{"stream": isOneOf("stdout", "stderr"), "text": isString, "extras": isObject})
	}
	return fmt.Errorf("unknown method %q", m.Method)
}

// An object is a decoded JSON object.
type object map[string]json.RawMessage

// members says what the members of an object have to be; all are mandatory and there may be no others.
type members map[string]func(json.RawMessage) error

// decodeObject reads a JSON object.
func decodeObject(raw json.RawMessage) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("null is not an object")
	}
	return o, nil
}

// check compares the object with what its members have to be.
func (o object) check(want members) error {
	var errs []error
	for key, is := range want {
		if raw, ok := o[key]; !ok {
			errs = append(errs, fmt.Errorf("%s is missing", key))
		} else if err := is(raw); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	for key := range o {
		if want[key] == nil {
			errs = append(errs, fmt.Errorf("%s is not a parameter", key))
		}
	}
	return errors.Join(errs...)
}

// isException accepts an exception with all five keys at every level.
func isException(raw json.RawMessage) error {
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	return o.check(members{
		"message": isString, "stack": isListOf(isString), "name": orNull(isString),
		"cause": orNull(isException), "context": orNull(isException),
	})
}

// isAnything accepts every value.
func isAnything(json.RawMessage) error { return nil }

// isObject accepts an object.
func isObject(raw json.RawMessage) error {
	_, err := decodeObject(raw)
	return err
}

// isString accepts a string.
func isString(raw json.RawMessage) error {
	return isKind(raw, "string", '"')
}

// isBool accepts true and false.
func isBool(raw json.RawMessage) error {
	return isKind(raw, "boolean", 't', 'f')
}

// isKind accepts a value by its first character.
func isKind(raw json.RawMessage, kind string, first ...byte) error {
	if len(raw) == 0 || !slices.Contains(first, raw[0]) {
		return fmt.Errorf("%s is not a %s", raw, kind)
	}
	return nil
}

// isFilled accepts a string that is not empty.
func isFilled(raw json.RawMessage) error {
	if string(raw) == `""` {
		return errors.New("it is empty")
	}
	return isString(raw)
}

// isAssetKey accepts an escaped asset key with at least one part.
func isAssetKey(raw json.RawMessage) error {
	var key string
	if err := json.Unmarshal(raw, &key); err != nil {
		return err
	}
	if len(pipes.ParseAssetKey(key)) == 0 {
		return fmt.Errorf("%q has no parts", key)
	}
	return nil
}

// isOneOf accepts one of several strings.
func isOneOf(choices ...string) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		if !slices.Contains(choices, s) {
			return fmt.Errorf("%q is not one of %q", s, choices)
		}
		return nil
	}
}

// orNull accepts null beside what is accepts.
func orNull(is func(json.RawMessage) error) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if string(raw) == "null" {
			return nil
		}
		return is(raw)
	}
}

// isListOf accepts a list, not null, of what is accepts.
func isListOf(is func(json.RawMessage) error) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if err := isKind(raw, "list", '['); err != nil {
			return err
		}
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		for i, item := range list {
			if err := is(item); err != nil {
				return fmt.Errorf("item %d: %w", i, err)
			}
		}
		return nil
	}
}
