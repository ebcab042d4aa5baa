// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "ctctl.h"

int main(int argc, char **argv)
{
	struct ctctl c = {.out = stdout, .err = stderr};

	return ctctl_main(&c, argc, argv);
}
