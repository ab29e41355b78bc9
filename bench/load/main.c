/* leveret-bench: load for any AMQP 0-9-1 broker. */
#include "fail.h"
#include "run.h"

int main(int argc, char **argv)
{
	static struct options options;
	static struct report report;
	options_parse(&options, argc, argv);
	run(&options, &report);
	report_text(&report);
	if (options.csv_file[0] != '\0')
		report_csv(&report, options.csv_file);
	if (options.json_file[0] != '\0')
		report_json(&report, options.json_file);
	if (options.hgrm_prefix[0] != '\0')
		report_hgrm(&report, options.hgrm_prefix);
	if (options.html_file[0] != '\0')
		report_html(&report, options.html_file);
	int status = report_is_verified(&report) ? 0 : EXIT_UNVERIFIED;
	report_fini(&report);
	return status;
}
