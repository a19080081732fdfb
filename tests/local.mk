## Three sorts of test: unit/test_*.c, programs in Norn with their answers in comments (expect.sh),
## and scripts.
TEST_EXTENSIONS   = .norn .sh
LOG_COMPILER      = $(TIMEOUT)
SH_LOG_COMPILER   = $(TIMEOUT) $(SHELL)
NORN_LOG_COMPILER = $(SHELL) $(srcdir)/%D%/expect.sh
AM_TESTS_ENVIRONMENT = \
  NORN='$(abs_top_builddir)/norn'; export NORN; \
  srcdir='$(srcdir)'; export srcdir; \
  builddir='$(builddir)'; export builddir; \
  CC='$(CC)'; export CC; \
  EMBED_CFLAGS='$(SANITIZE)'; export EMBED_CFLAGS; \
  PKG_CONFIG='$(PKG_CONFIG)'; export PKG_CONFIG;

## list UNIT_TESTS unit/test_*.c -.c
UNIT_TESTS = \
  %D%/unit/test_addr \
  %D%/unit/test_base \
  %D%/unit/test_big \
  %D%/unit/test_block \
  %D%/unit/test_category \
  %D%/unit/test_code \
  %D%/unit/test_combine \
  %D%/unit/test_count \
  %D%/unit/test_density \
  %D%/unit/test_dispatch \
  %D%/unit/test_dist \
  %D%/unit/test_dist_real \
  %D%/unit/test_docs \
  %D%/unit/test_engines \
  %D%/unit/test_exact \
  %D%/unit/test_fault \
  %D%/unit/test_foreign \
  %D%/unit/test_glm \
  %D%/unit/test_heap \
  %D%/unit/test_io \
  %D%/unit/test_la \
  %D%/unit/test_lib \
  %D%/unit/test_limits \
  %D%/unit/test_map \
  %D%/unit/test_multi \
  %D%/unit/test_multi_draws \
  %D%/unit/test_names \
  %D%/unit/test_parse \
  %D%/unit/test_program \
  %D%/unit/test_random \
  %D%/unit/test_real \
  %D%/unit/test_rng \
  %D%/unit/test_samplers \
  %D%/unit/test_special \
  %D%/unit/test_stream \
  %D%/unit/test_stress \
  %D%/unit/test_values

## list LANG_TESTS lang/*.norn lib/*.norn errors/*.norn
LANG_TESTS = \
  %D%/lang/annotations.norn \
  %D%/lang/big.norn \
  %D%/lang/core_folds.norn \
  %D%/lang/core_forms.norn \
  %D%/lang/core_functions.norn \
  %D%/lang/distributions.norn \
  %D%/lang/exhaustive.norn \
  %D%/lang/exhaustive_quiet.norn \
  %D%/lang/given_do.norn \
  %D%/lang/mem.norn \
  %D%/lang/module_middle.norn \
  %D%/lang/module_shapes.norn \
  %D%/lang/modules.norn \
  %D%/lang/prob_events.norn \
  %D%/lang/prob_nested.norn \
  %D%/lib/arrays.norn \
  %D%/lib/big.norn \
  %D%/lib/combinators.norn \
  %D%/lib/counts.norn \
  %D%/lib/distributions.norn \
  %D%/lib/error.norn \
  %D%/lib/families.norn \
  %D%/lib/files.norn \
  %D%/lib/foreign.norn \
  %D%/lib/functions.norn \
  %D%/lib/interp.norn \
  %D%/lib/linalg.norn \
  %D%/lib/maps_sets.norn \
  %D%/lib/math.norn \
  %D%/lib/multivariate.norn \
  %D%/lib/no_evidence.norn \
  %D%/lib/posteriors.norn \
  %D%/lib/records.norn \
  %D%/lib/save_load.norn \
  %D%/lib/special.norn \
  %D%/lib/statistics.norn \
  %D%/lib/strings.norn \
  %D%/lib/system.norn \
  %D%/lib/tables.norn \
  %D%/errors/address_twice.norn \
  %D%/errors/all_particles_dead.norn \
  %D%/errors/annotation_violated.norn \
  %D%/errors/assignment.norn \
  %D%/errors/bad_escape.norn \
  %D%/errors/bad_number.norn \
  %D%/errors/bad_option_value.norn \
  %D%/errors/beta_proportion_mean.norn \
  %D%/errors/beta_proportion_precision.norn \
  %D%/errors/big_bits.norn \
  %D%/errors/big_division.norn \
  %D%/errors/big_plus_string.norn \
  %D%/errors/big_text.norn \
  %D%/errors/big_too_far.norn \
  %D%/errors/big_without_density.norn \
  %D%/errors/c_operators.norn \
  %D%/errors/call_of_a_number.norn \
  %D%/errors/chi_square_nu.norn \
  %D%/errors/condition_not_boolean.norn \
  %D%/errors/constructor_arity.norn \
  %D%/errors/csv_type_of_nothing.norn \
  %D%/errors/csv_wrong_type.norn \
  %D%/errors/cutpoints_fall.norn \
  %D%/errors/cycle_a.norn \
  %D%/errors/cycle_b.norn \
  %D%/errors/deep_trace.norn \
  %D%/errors/distribution_cdf_kind.norn \
  %D%/errors/distribution_cdf_range.norn \
  %D%/errors/distribution_cdf_value.norn \
  %D%/errors/distribution_part.norn \
  %D%/errors/division_by_zero.norn \
  %D%/errors/double_exponential_scale.norn \
  %D%/errors/empirical_empty.norn \
  %D%/errors/empirical_mean.norn \
  %D%/errors/empirical_negative.norn \
  %D%/errors/empirical_no_weight.norn \
  %D%/errors/empirical_weights.norn \
  %D%/errors/empty_interval.norn \
  %D%/errors/enumerate_continuous.norn \
  %D%/errors/equals_in_condition.norn \
  %D%/errors/exact_continuous.norn \
  %D%/errors/exact_dead.norn \
  %D%/errors/exact_endless.norn \
  %D%/errors/exact_of_doubles.norn \
  %D%/errors/exact_option.norn \
  %D%/errors/factor_diagonal.norn \
  %D%/errors/factor_not_lower.norn \
  %D%/errors/flat_size.norn \
  %D%/errors/flat_value.norn \
  %D%/errors/flat_value_vector.norn \
  %D%/errors/fold_without_next.norn \
  %D%/errors/for_over_a_number.norn \
  %D%/errors/foreign_argument.norn \
  %D%/errors/foreign_body.norn \
  %D%/errors/foreign_callback.norn \
  %D%/errors/foreign_mistakes.norn \
  %D%/errors/foreign_no_library.norn \
  %D%/errors/frechet_shape.norn \
  %D%/errors/functions_compared.norn \
  %D%/errors/given_unknown_address.norn \
  %D%/errors/glm_columns.norn \
  %D%/errors/gp_dimensions.norn \
  %D%/errors/gp_lengths.norn \
  %D%/errors/gumbel_location.norn \
  %D%/errors/half_student_t_nu.norn \
  %D%/errors/index_of_wrong_kind.norn \
  %D%/errors/index_out_of_range.norn \
  %D%/errors/infer_model_not_called.norn \
  %D%/errors/infer_without_model.norn \
  %D%/errors/integer_overflow.norn \
  %D%/errors/interp_lengths.norn \
  %D%/errors/interp_not_rising.norn \
  %D%/errors/inv_chi_square_nu.norn \
  %D%/errors/inverse_not_square.norn \
  %D%/errors/kernel_expected.norn \
  %D%/errors/kernel_negative.norn \
  %D%/errors/kernel_summand.norn \
  %D%/errors/kernel_too_long.norn \
  %D%/errors/kernel_with_more.norn \
  %D%/errors/kernel_without.norn \
  %D%/errors/lkj_order.norn \
  %D%/errors/loglogistic_shape.norn \
  %D%/errors/malformed_csv.norn \
  %D%/errors/malformed_json.norn \
  %D%/errors/malformed_utf8.norn \
  %D%/errors/matrix_not_definite.norn \
  %D%/errors/matrix_not_finite.norn \
  %D%/errors/matrix_not_numbers.norn \
  %D%/errors/matrix_not_positive.norn \
  %D%/errors/matrix_not_square.norn \
  %D%/errors/matrix_not_symmetric.norn \
  %D%/errors/matrix_shapes.norn \
  %D%/errors/matrix_shapes_differ.norn \
  %D%/errors/matrix_sides.norn \
  %D%/errors/matrix_singular.norn \
  %D%/errors/matrix_wanted.norn \
  %D%/errors/matrix_with_nan.norn \
  %D%/errors/mean_not_finite.norn \
  %D%/errors/mean_not_vector.norn \
  %D%/errors/mean_of_nothing.norn \
  %D%/errors/missing_brace.norn \
  %D%/errors/missing_in_arithmetic.norn \
  %D%/errors/mixture_improper.norn \
  %D%/errors/more_draws_than_balls.norn \
  %D%/errors/negative_sd.norn \
  %D%/errors/negative_weight.norn \
  %D%/errors/next_outside_fold.norn \
  %D%/errors/no_match.norn \
  %D%/errors/no_such_column.norn \
  %D%/errors/no_such_constructor.norn \
  %D%/errors/no_such_field.norn \
  %D%/errors/no_such_module.norn \
  %D%/errors/no_such_option.norn \
  %D%/errors/noise_negative.norn \
  %D%/errors/noncentered_family.norn \
  %D%/errors/not_an_integer.norn \
  %D%/errors/number_plus_string.norn \
  %D%/errors/observe_at_top.norn \
  %D%/errors/observe_without_tilde.norn \
  %D%/errors/ordered_counts.norn \
  %D%/errors/ordered_not_iid.norn \
  %D%/errors/outside_support.norn \
  %D%/errors/parameter_twice.norn \
  %D%/errors/pareto_bound.norn \
  %D%/errors/pareto_type_2_shape.norn \
  %D%/errors/points_coincide.norn \
  %D%/errors/points_expected.norn \
  %D%/errors/points_not_finite.norn \
  %D%/errors/probability_above_one.norn \
  %D%/errors/product_of_nothing.norn \
  %D%/errors/product_of_numbers.norn \
  %D%/errors/product_value.norn \
  %D%/errors/product_value_length.norn \
  %D%/errors/quantile_unknown.norn \
  %D%/errors/rayleigh_scale.norn \
  %D%/errors/record_expected.norn \
  %D%/errors/record_field.norn \
  %D%/errors/rejection_without_bound.norn \
  %D%/errors/reserved_word.norn \
  %D%/errors/sample_from_flat_simplex.norn \
  %D%/errors/sample_from_improper.norn \
  %D%/errors/scaled_inv_chi_square_range.norn \
  %D%/errors/scaled_inv_chi_square_s.norn \
  %D%/errors/several_mistakes.norn \
  %D%/errors/shapes_differ.norn \
  %D%/errors/skew_normal_shape.norn \
  %D%/errors/spline_method.norn \
  %D%/errors/stray_closer.norn \
  %D%/errors/stray_token.norn \
  %D%/errors/table_choice.norn \
  %D%/errors/table_join_clash.norn \
  %D%/errors/table_lengths.norn \
  %D%/errors/table_no_column.norn \
  %D%/errors/table_no_level.norn \
  %D%/errors/table_row.norn \
  %D%/errors/too_many_arguments.norn \
  %D%/errors/transform_discrete.norn \
  %D%/errors/transform_domain.norn \
  %D%/errors/transform_no_bijection.norn \
  %D%/errors/transform_own_cdf.norn \
  %D%/errors/transform_own_value.norn \
  %D%/errors/transform_scale.norn \
  %D%/errors/transform_scale_length.norn \
  %D%/errors/transform_simplex.norn \
  %D%/errors/trials_after_probabilities.norn \
  %D%/errors/truncate_bound_kind.norn \
  %D%/errors/truncate_improper.norn \
  %D%/errors/truncate_no_cdf.norn \
  %D%/errors/truncate_no_mass.norn \
  %D%/errors/truncate_shapes.norn \
  %D%/errors/truncate_value_shape.norn \
  %D%/errors/unclosed_parenthesis.norn \
  %D%/errors/undefined_in_model.norn \
  %D%/errors/undefined_name.norn \
  %D%/errors/unreadable_file.norn \
  %D%/errors/unterminated_string.norn \
  %D%/errors/used_before.norn \
  %D%/errors/vector_too_long.norn \
  %D%/errors/vector_with_nan.norn \
  %D%/errors/von_mises_kappa.norn \
  %D%/errors/weibull_scale.norn \
  %D%/errors/weibull_shape.norn \
  %D%/errors/wishart_few_degrees.norn \
  %D%/errors/with_bits_range.norn \
  %D%/errors/wrong_argument_name.norn \
  %D%/errors/wrong_arity.norn \
  %D%/errors/wrong_kind_observed.norn \
  %D%/errors/wrong_type_to_distribution.norn \
  %D%/errors/zero_inflated_probability.norn \
  %D%/errors/zero_inflated_reals.norn

## list ENGINE_TESTS engine/*.norn
ENGINE_TESTS = \
  %D%/engine/aligned.norn \
  %D%/engine/beta_bernoulli.norn \
  %D%/engine/collapsed.norn \
  %D%/engine/combinators.norn \
  %D%/engine/dead_enumerate.norn \
  %D%/engine/dead_importance.norn \
  %D%/engine/dead_mh.norn \
  %D%/engine/dead_rejection.norn \
  %D%/engine/dead_smc.norn \
  %D%/engine/exact.norn \
  %D%/engine/exact_big.norn \
  %D%/engine/gamma_poisson.norn \
  %D%/engine/hmm.norn \
  %D%/engine/improper.norn \
  %D%/engine/kalman.norn \
  %D%/engine/low_ess.norn \
  %D%/engine/nested.norn \
  %D%/engine/normal_normal.norn \
  %D%/engine/nuts_normal.norn \
  %D%/engine/nuts_warns.norn \
  %D%/engine/posterior.norn \
  %D%/engine/random_domain.norn \
  %D%/engine/random_domain_all.norn \
  %D%/engine/rejection_bound.norn \
  %D%/engine/stuck.norn \
  %D%/engine/transdimensional.norn \
  %D%/engine/unobserved.norn \
  %D%/engine/zero_is_false.norn

NORN_TESTS = $(LANG_TESTS) $(ENGINE_TESTS)

## list SH_TESTS *.sh !expect.sh !installed.sh !seeds.sh
SH_TESTS = \
  %D%/cli.sh \
  %D%/complete.sh \
  %D%/embed.sh \
  %D%/examples.sh \
  %D%/foreign.sh \
  %D%/fuzz.sh \
  %D%/imports.sh \
  %D%/layers.sh \
  %D%/man_examples.sh \
  %D%/posteriordb.sh \
  %D%/readme.sh \
  %D%/repl.sh \
  %D%/symbols.sh

## list TEST_FILES unit/*.h fuzz/*.h errors/*.err lang/*.err data/* repl/* */*.json */*.csv */*.txt */*/* */*/*/*
TEST_FILES = \
  %D%/unit/big.h \
  %D%/unit/dist_family.h \
  %D%/unit/multi.h \
  %D%/unit/unit.h \
  %D%/fuzz/replay.h \
  %D%/errors/address_twice.err \
  %D%/errors/all_particles_dead.err \
  %D%/errors/annotation_violated.err \
  %D%/errors/assignment.err \
  %D%/errors/bad_escape.err \
  %D%/errors/bad_number.err \
  %D%/errors/bad_option_value.err \
  %D%/errors/beta_proportion_mean.err \
  %D%/errors/beta_proportion_precision.err \
  %D%/errors/big_bits.err \
  %D%/errors/big_division.err \
  %D%/errors/big_plus_string.err \
  %D%/errors/big_text.err \
  %D%/errors/big_too_far.err \
  %D%/errors/big_without_density.err \
  %D%/errors/c_operators.err \
  %D%/errors/call_of_a_number.err \
  %D%/errors/chi_square_nu.err \
  %D%/errors/condition_not_boolean.err \
  %D%/errors/constructor_arity.err \
  %D%/errors/csv_type_of_nothing.err \
  %D%/errors/csv_wrong_type.err \
  %D%/errors/cutpoints_fall.err \
  %D%/errors/cycle_a.err \
  %D%/errors/cycle_b.err \
  %D%/errors/deep_trace.err \
  %D%/errors/distribution_cdf_kind.err \
  %D%/errors/distribution_cdf_range.err \
  %D%/errors/distribution_cdf_value.err \
  %D%/errors/distribution_part.err \
  %D%/errors/division_by_zero.err \
  %D%/errors/double_exponential_scale.err \
  %D%/errors/empirical_empty.err \
  %D%/errors/empirical_mean.err \
  %D%/errors/empirical_negative.err \
  %D%/errors/empirical_no_weight.err \
  %D%/errors/empirical_weights.err \
  %D%/errors/empty_interval.err \
  %D%/errors/enumerate_continuous.err \
  %D%/errors/equals_in_condition.err \
  %D%/errors/exact_continuous.err \
  %D%/errors/exact_dead.err \
  %D%/errors/exact_endless.err \
  %D%/errors/exact_of_doubles.err \
  %D%/errors/exact_option.err \
  %D%/errors/factor_diagonal.err \
  %D%/errors/factor_not_lower.err \
  %D%/errors/flat_size.err \
  %D%/errors/flat_value.err \
  %D%/errors/flat_value_vector.err \
  %D%/errors/fold_without_next.err \
  %D%/errors/for_over_a_number.err \
  %D%/errors/foreign_argument.err \
  %D%/errors/foreign_body.err \
  %D%/errors/foreign_callback.err \
  %D%/errors/foreign_mistakes.err \
  %D%/errors/foreign_no_library.err \
  %D%/errors/frechet_shape.err \
  %D%/errors/functions_compared.err \
  %D%/errors/given_unknown_address.err \
  %D%/errors/glm_columns.err \
  %D%/errors/gp_dimensions.err \
  %D%/errors/gp_lengths.err \
  %D%/errors/gumbel_location.err \
  %D%/errors/half_student_t_nu.err \
  %D%/errors/index_of_wrong_kind.err \
  %D%/errors/index_out_of_range.err \
  %D%/errors/infer_model_not_called.err \
  %D%/errors/infer_without_model.err \
  %D%/errors/integer_overflow.err \
  %D%/errors/interp_lengths.err \
  %D%/errors/interp_not_rising.err \
  %D%/errors/inv_chi_square_nu.err \
  %D%/errors/inverse_not_square.err \
  %D%/errors/kernel_expected.err \
  %D%/errors/kernel_negative.err \
  %D%/errors/kernel_summand.err \
  %D%/errors/kernel_too_long.err \
  %D%/errors/kernel_with_more.err \
  %D%/errors/kernel_without.err \
  %D%/errors/lkj_order.err \
  %D%/errors/loglogistic_shape.err \
  %D%/errors/malformed_csv.err \
  %D%/errors/malformed_json.err \
  %D%/errors/malformed_utf8.err \
  %D%/errors/matrix_not_definite.err \
  %D%/errors/matrix_not_finite.err \
  %D%/errors/matrix_not_numbers.err \
  %D%/errors/matrix_not_positive.err \
  %D%/errors/matrix_not_square.err \
  %D%/errors/matrix_not_symmetric.err \
  %D%/errors/matrix_shapes.err \
  %D%/errors/matrix_shapes_differ.err \
  %D%/errors/matrix_sides.err \
  %D%/errors/matrix_singular.err \
  %D%/errors/matrix_wanted.err \
  %D%/errors/matrix_with_nan.err \
  %D%/errors/mean_not_finite.err \
  %D%/errors/mean_not_vector.err \
  %D%/errors/mean_of_nothing.err \
  %D%/errors/missing_brace.err \
  %D%/errors/missing_in_arithmetic.err \
  %D%/errors/mixture_improper.err \
  %D%/errors/more_draws_than_balls.err \
  %D%/errors/negative_sd.err \
  %D%/errors/negative_weight.err \
  %D%/errors/next_outside_fold.err \
  %D%/errors/no_match.err \
  %D%/errors/no_such_column.err \
  %D%/errors/no_such_constructor.err \
  %D%/errors/no_such_field.err \
  %D%/errors/no_such_module.err \
  %D%/errors/no_such_option.err \
  %D%/errors/noise_negative.err \
  %D%/errors/noncentered_family.err \
  %D%/errors/not_an_integer.err \
  %D%/errors/number_plus_string.err \
  %D%/errors/observe_at_top.err \
  %D%/errors/observe_without_tilde.err \
  %D%/errors/ordered_counts.err \
  %D%/errors/ordered_not_iid.err \
  %D%/errors/outside_support.err \
  %D%/errors/parameter_twice.err \
  %D%/errors/pareto_bound.err \
  %D%/errors/pareto_type_2_shape.err \
  %D%/errors/points_coincide.err \
  %D%/errors/points_expected.err \
  %D%/errors/points_not_finite.err \
  %D%/errors/probability_above_one.err \
  %D%/errors/product_of_nothing.err \
  %D%/errors/product_of_numbers.err \
  %D%/errors/product_value.err \
  %D%/errors/product_value_length.err \
  %D%/errors/quantile_unknown.err \
  %D%/errors/rayleigh_scale.err \
  %D%/errors/record_expected.err \
  %D%/errors/record_field.err \
  %D%/errors/rejection_without_bound.err \
  %D%/errors/reserved_word.err \
  %D%/errors/sample_from_flat_simplex.err \
  %D%/errors/sample_from_improper.err \
  %D%/errors/scaled_inv_chi_square_range.err \
  %D%/errors/scaled_inv_chi_square_s.err \
  %D%/errors/several_mistakes.err \
  %D%/errors/shapes_differ.err \
  %D%/errors/skew_normal_shape.err \
  %D%/errors/spline_method.err \
  %D%/errors/stray_closer.err \
  %D%/errors/stray_token.err \
  %D%/errors/table_choice.err \
  %D%/errors/table_join_clash.err \
  %D%/errors/table_lengths.err \
  %D%/errors/table_no_column.err \
  %D%/errors/table_no_level.err \
  %D%/errors/table_row.err \
  %D%/errors/too_many_arguments.err \
  %D%/errors/transform_discrete.err \
  %D%/errors/transform_domain.err \
  %D%/errors/transform_no_bijection.err \
  %D%/errors/transform_own_cdf.err \
  %D%/errors/transform_own_value.err \
  %D%/errors/transform_scale.err \
  %D%/errors/transform_scale_length.err \
  %D%/errors/transform_simplex.err \
  %D%/errors/trials_after_probabilities.err \
  %D%/errors/truncate_bound_kind.err \
  %D%/errors/truncate_improper.err \
  %D%/errors/truncate_no_cdf.err \
  %D%/errors/truncate_no_mass.err \
  %D%/errors/truncate_shapes.err \
  %D%/errors/truncate_value_shape.err \
  %D%/errors/unclosed_parenthesis.err \
  %D%/errors/undefined_in_model.err \
  %D%/errors/undefined_name.err \
  %D%/errors/unreadable_file.err \
  %D%/errors/unterminated_string.err \
  %D%/errors/used_before.err \
  %D%/errors/vector_too_long.err \
  %D%/errors/vector_with_nan.err \
  %D%/errors/von_mises_kappa.err \
  %D%/errors/weibull_scale.err \
  %D%/errors/weibull_shape.err \
  %D%/errors/wishart_few_degrees.err \
  %D%/errors/with_bits_range.err \
  %D%/errors/wrong_argument_name.err \
  %D%/errors/wrong_arity.err \
  %D%/errors/wrong_kind_observed.err \
  %D%/errors/wrong_type_to_distribution.err \
  %D%/errors/zero_inflated_probability.err \
  %D%/errors/zero_inflated_reals.err \
  %D%/lang/exhaustive_quiet.err \
  %D%/data/bern.csv \
  %D%/data/z.norn \
  %D%/repl/basic.pty \
  %D%/repl/commands.pty \
  %D%/repl/complete.pty \
  %D%/repl/history.pty \
  %D%/repl/history2.pty \
  %D%/repl/interrupt.pty \
  %D%/repl/lines.pty \
  %D%/errors/data/heights.csv \
  %D%/errors/data/malformed.json \
  %D%/errors/data/ragged.csv \
  %D%/lib/data/bare.csv \
  %D%/lib/data/schools.json \
  %D%/lib/data/table.csv \
  %D%/lib/foreign/arrays.norn \
  %D%/lib/foreign/callbacks.norn \
  %D%/lib/foreign/check.c \
  %D%/lib/foreign/errors.txt \
  %D%/lib/foreign/types.norn \
  %D%/fuzz/corpus/code/annotated \
  %D%/fuzz/corpus/code/functions \
  %D%/fuzz/corpus/code/models \
  %D%/fuzz/corpus/csv/bom \
  %D%/fuzz/corpus/csv/numbers \
  %D%/fuzz/corpus/csv/quote \
  %D%/fuzz/corpus/csv/ragged \
  %D%/fuzz/corpus/csv/semicolon \
  %D%/fuzz/corpus/csv/sniff \
  %D%/fuzz/corpus/csv/table \
  %D%/fuzz/corpus/csv/twice \
  %D%/fuzz/corpus/csv/unfinished \
  %D%/fuzz/corpus/json/duplicate \
  %D%/fuzz/corpus/json/malformed \
  %D%/fuzz/corpus/json/matrix \
  %D%/fuzz/corpus/json/nan \
  %D%/fuzz/corpus/json/numbers \
  %D%/fuzz/corpus/json/object \
  %D%/fuzz/corpus/json/special \
  %D%/fuzz/corpus/json/unfinished \
  %D%/fuzz/corpus/parse/eight_schools.norn \
  %D%/fuzz/corpus/parse/errors.norn \
  %D%/fuzz/corpus/parse/expressions.norn \
  %D%/fuzz/corpus/parse/foreign.norn \
  %D%/fuzz/corpus/parse/forms.norn \
  %D%/fuzz/corpus/parse/llm.norn \
  %D%/fuzz/corpus/parse/probability.norn \
  %D%/fuzz/corpus/parse/program.norn \
  %D%/fuzz/corpus/parse/recovery.norn \
  %D%/fuzz/corpus/parse/walk.norn \
  %D%/fuzz/corpus/printer/long \
  %D%/fuzz/corpus/printer/malformed \
  %D%/fuzz/corpus/printer/tabs \
  %D%/fuzz/corpus/program/coin

## Programs that scripts run; they are no tests themselves.
## list TEST_TOOLS tools/*.c -.c
TEST_TOOLS = \
  %D%/tools/ptydrive

## Fuzz targets: with --enable-fuzz libFuzzer programs and nothing else; otherwise fuzz.sh replays
## their corpora.
## list FUZZ_TARGETS fuzz/fuzz_*.c -.c
FUZZ_TARGETS = \
  %D%/fuzz/fuzz_code \
  %D%/fuzz/fuzz_csv \
  %D%/fuzz/fuzz_json \
  %D%/fuzz/fuzz_parse \
  %D%/fuzz/fuzz_printer \
  %D%/fuzz/fuzz_program

LDADD = libnorncore.la $(FUZZ_LDFLAGS)
if FUZZ
AM_CPPFLAGS += -DNORN_FUZZ
noinst_PROGRAMS += $(FUZZ_TARGETS)
else
check_PROGRAMS += $(UNIT_TESTS) $(TEST_TOOLS) $(FUZZ_TARGETS)
endif

TESTS += $(SH_TESTS) $(UNIT_TESTS) $(NORN_TESTS) $(EXAMPLES)
EXTRA_DIST += $(SH_TESTS) $(NORN_TESTS) $(TEST_FILES) %D%/expect.sh %D%/installed.sh \
  %D%/seeds.sh

## What sanitizers watch in continuous integration: all but the slow statistics of the engines.
QUICK_TESTS = $(SH_TESTS) $(UNIT_TESTS) $(LANG_TESTS)
quick-check:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(QUICK_TESTS)'
.PHONY: quick-check
