package feature

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrKey reports a name that breaks the rules for keys.
	ErrKey = errors.New("invalid key")
	// ErrSpec reports a feature that is declared wrongly.
	ErrSpec = errors.New("invalid spec")
	// ErrUnknown reports a name that no feature or field has.
	ErrUnknown = errors.New("unknown name")
	// ErrCycle reports features that depend on each other in a circle.
	ErrCycle = errors.New("dependency cycle")
	// ErrMapping reports a field for which no parent field is found.
	ErrMapping = errors.New("no parent field")
	// ErrProject reports that the features do not say which project is meant.
	ErrProject = errors.New("no single project")
	// ErrOptions reports options that no graph can be computed under.
	ErrOptions = errors.New("invalid graph options")
)

// A FeatureError is one problem of one feature. The functions of this package that check more than one thing join
// the problems with [errors.Join].
type FeatureError struct {
	// Feature is the key of the feature, as far as it could be read. Empty means that it could not.
	Feature Key
	// Field is the field that has the problem. Empty means that no single field has.
	Field Key
	// Path is the member of the spec's JSON that has the problem, such as "deps[0].select". Empty means that the
	// problem was not found while reading JSON, or concerns the whole spec.
	Path string
	// Err is the problem. It is never nil and wraps one of the sentinels of this package.
	Err error
}

// Error names the feature, the field and the member before the problem.
func (e *FeatureError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "feature %q", e.Feature)
	if e.Field != "" {
		fmt.Fprintf(&b, ", field %q", e.Field)
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the problem.
func (e *FeatureError) Unwrap() error { return e.Err }

// joinProblems joins the problems by feature; those of one feature stay in the order in which they were found.
func joinProblems(problems []*FeatureError) error {
	slices.SortStableFunc(problems, func(x, y *FeatureError) int { return x.Feature.Compare(y.Feature) })
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}
